"""Which modules an entry point is built from, and one fingerprint of all their code.

Make must know what to run again after an edit before the environment exists, so this file uses the standard
library only and runs as a plain script: `python3 maggan/dependencies.py FOLDER WORLD train evaluate ...` writes
FOLDER/train, FOLDER/evaluate, ...: one file each holding a fingerprint, rewritten only when it changed.
"""

import ast
import functools
import hashlib
import json
import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
NOTEBOOKS = PACKAGE.parent / "notebooks"

# What a world's results do not depend on, although the code that serves both worlds imports it where needed.
NOT_OF_WORLD = {"drawn": {"celeba", "masks", "parser"}, "celeba": {"drawnfaces"}, None: set()}


@functools.cache
def _tree(path: Path, changed: int) -> ast.Module:
    """Return the syntax tree of a file; `changed`, its time, makes an edited file a new one to the cache."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        lines = [line for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"
                 for line in [*"".join(cell["source"]).splitlines(), ""]]
        # %magics and !commands are not Python; they name no module of ours
        text = "\n".join("" if line.lstrip()[:1] in ("%", "!") else line for line in lines)
    return ast.parse(text, str(path))


def parse(entry: str, package: Path = PACKAGE, notebooks: Path = NOTEBOOKS) -> ast.Module:
    """Return the syntax tree of a module, or of a notebook's code cells when `entry` names one."""
    path = package / f"{entry}.py"
    path = path if path.exists() else notebooks / f"{entry}.ipynb"
    return _tree(path, path.stat().st_mtime_ns)


def imported_modules(tree: ast.Module, package: Path = PACKAGE, top_level_only: bool = False) -> set[str]:
    """Return the modules of this package that a syntax tree imports, inside functions too."""
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            root = (package.name if node.level else "") + ("." if node.level and node.module else "")
            root += node.module or ""
            names = [f"{root}.{alias.name}" for alias in node.names] + [root]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == package.name and len(parts) > 1 and (package / f"{parts[1]}.py").exists():
                found.add(parts[1])
            elif isinstance(node, ast.ImportFrom) and name.rpartition(".")[0] == package.name:
                found.add("__init__")          # a name that the package itself offers, such as ATTRIBUTES
    return found


def closure(entry: str, world: str | None = None, package: Path = PACKAGE, notebooks: Path = NOTEBOOKS) -> list[str]:
    """Return `entry` and every module it reaches through imports, sorted.

    With a world ("drawn" or "celeba"), what serves only the other one is left out.
    """
    reached, waiting = set(), {entry}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        # the package's lazy names (Editor) are reached only by those who ask for them
        tree = parse(name, package, notebooks)
        found = imported_modules(tree, package, top_level_only=name == "__init__")
        waiting |= found - reached - NOT_OF_WORLD[world]
    return sorted(reached)


@functools.cache
def code_of(tree: ast.Module) -> bytes:
    """Return the outline of a syntax tree as bytes."""
    return json.dumps(outline(tree)).encode()


def outline(node: object) -> object:
    """Return a syntax tree as nested lists without positions, docstrings and empty fields.

    Python versions add optional fields to the tree; leaving out what is empty keeps the outline the same.
    """
    if isinstance(node, list):
        return [outline(item) for item in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    body = fields.get("body")
    if isinstance(body, list):                 # a lone string does nothing: a docstring or a stray remark
        fields["body"] = [item for item in body if not (
            isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str))]
    return [type(node).__name__,
            *([name, outline(value)] for name, value in fields.items() if value not in (None, []) and name != "kind")]


@functools.cache
def data_files(tree: ast.Module, package: Path = PACKAGE) -> set[Path]:
    """Return the package's data files (relations.csv, ...) that a syntax tree names in a string."""
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {path for path in package.iterdir() if path.is_file() and path.suffix != ".py" and path.name in strings}


def fingerprint(entry: str, world: str | None = None, package: Path = PACKAGE, notebooks: Path = NOTEBOOKS) -> str:
    """Return the SHA-256 of all code that `entry` reaches: edits to comments and docstrings leave it alone."""
    digest = hashlib.sha256()
    for name in closure(entry, world, package, notebooks):
        tree = parse(name, package, notebooks)
        digest.update(name.encode() + code_of(tree))
        for path in sorted(data_files(tree, package)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def write_stamps(folder: Path, world: str, entries: list[str]) -> None:
    """Write one fingerprint file for each entry; a file whose fingerprint still holds keeps its time."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        stamp, text = folder / entry, fingerprint(entry, world) + "\n"
        if not stamp.exists() or stamp.read_text() != text:
            temporary = folder / f".{entry}.{os.getpid()}"
            temporary.write_text(text)
            temporary.replace(stamp)


if __name__ == "__main__":
    write_stamps(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])

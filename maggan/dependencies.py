"""Which modules an entry point is built from, and one fingerprint of all their code.

Make must know what to run again after an edit before the environment exists, so this file uses the standard
library only and runs as a plain script: `python3 maggan/dependencies.py FOLDER WORLD train evaluate ...` writes
FOLDER/train, FOLDER/evaluate, ...: one stamp each holding a fingerprint, rewritten only when it changed.
`--input NAME=PATH` does the same for files from outside, `--profile NAME` looks whether there is such a profile.
"""

import argparse
import ast
import functools
import hashlib
import importlib
import json
import os
import sys
import types
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
NOTEBOOKS = PACKAGE.parent / "notebooks"

# What a world's results do not depend on, although the code that serves both worlds imports it where needed.
NOT_OF_WORLD = {
    "drawn": {"celeba", "masks", "parser"},
    "celeba": {"drawnfaces", "maskbuild", "parser"},  # a store's own notes say which parser made its masks
    "masks": {"parsertraining"},  # no world of its own: the building of masks, which all sizes share
    None: set(),
}
# The networks and losses of the other systems, which a row never meets although all are chosen from one list.
NOT_OF_SYSTEM = {
    "stgan": {"peers", "fadernet", "icgan"},
    "attgan": {"fadernet", "icgan"},
    "stargan": {"multilevel", "fadernet", "icgan"},
    "fadernet": {"multilevel", "icgan"},
    "icgan": {"multilevel", "fadernet"},
    None: set(),
}
# The numbers that decide a run are resolved from these, and every run keeps its resolved ones: that tells a changed
# number from a changed remark better than the code can.
SETTINGS = {"profiles", "variants"}
# Where the official layout of CelebA, or a flat one, has photos and labels.
CELEBA_PLACES = (".", "Anno", "Img", "img_align_celeba", "Img/img_align_celeba")


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


def closure(entry: str, world: str | None = None, package: Path = PACKAGE, notebooks: Path = NOTEBOOKS,
            system: str | None = None) -> list[str]:  # fmt: skip
    """Return `entry` and every module it reaches through imports, sorted.

    With a world (a key of `NOT_OF_WORLD`) or a system (of `NOT_OF_SYSTEM`), what serves only the others is left out.
    """
    left_out = NOT_OF_WORLD[world] | NOT_OF_SYSTEM[system]
    reached, waiting = set(), {entry}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        # the package's lazy names (Editor) are reached only by those who ask for them
        tree = parse(name, package, notebooks)
        found = imported_modules(tree, package, top_level_only=name == "__init__")
        waiting |= found - reached - left_out
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


def fingerprint(entry: str, world: str | None = None, package: Path = PACKAGE, notebooks: Path = NOTEBOOKS,
                settings: bool = False, system: str | None = None) -> str:  # fmt: skip
    """Return the SHA-256 of all code that `entry` reaches: edits to comments and docstrings leave it alone.

    The modules of `SETTINGS` count only with `settings`: a run compares its resolved numbers itself.
    """
    digest = hashlib.sha256()
    for name in closure(entry, world, package, notebooks, system):
        if name in SETTINGS and not settings:
            continue
        tree = parse(name, package, notebooks)
        digest.update(name.encode() + code_of(tree))
        for path in sorted(data_files(tree, package)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def describe(path: Path) -> str:
    """Return where an input is and what tells it from others: a file's size; of a CelebA folder the photos' names.

    Of the latter also the labels and the size of a zip file of photos; 202,599 names take less than a second.
    Raises FileNotFoundError if there is no such input.
    """
    path = path.expanduser().absolute()
    if not path.is_dir():
        return f"{path} {path.stat().st_size}"
    digest = hashlib.sha256()
    for folder in (path / place for place in CELEBA_PLACES):
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        digest.update("\n".join(name for name in names if name.endswith(".jpg")).encode())
        if "list_attr_celeba.txt" in names:
            digest.update((folder / "list_attr_celeba.txt").read_bytes())
        if "img_align_celeba.zip" in names:
            digest.update(str((folder / "img_align_celeba.zip").stat().st_size).encode())
    return f"{path} {digest.hexdigest()}"


def write_stamp(path: Path, text: str) -> None:
    """Write a stamp; one that says the same already keeps its time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text + "\n":
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(text + "\n")
        temporary.replace(path)


def wrong_profile(name: str) -> str:
    """Return, in one line, that there is no such profile, or nothing.

    Loads profiles.py and errors.py without the package's __init__, which needs torch.
    """
    package = sys.modules.setdefault(PACKAGE.name, types.ModuleType(PACKAGE.name))
    package.__path__ = [str(PACKAGE)]
    errors, profiles = (importlib.import_module(f"{PACKAGE.name}.{module}") for module in ("errors", "profiles"))
    try:
        profiles.profile(name)
    except errors.MagganError as error:
        return str(error)
    return ""


def main() -> str:
    """Write the stamps asked for on the command line; return what is wrong, in one line, or nothing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("world", choices=[world for world in NOT_OF_WORLD if world])
    parser.add_argument("entries", nargs="*")
    parser.add_argument("--profile")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=PATH")
    options = parser.parse_args()
    try:
        if options.profile is not None and (wrong := wrong_profile(options.profile)):
            return wrong
        for name, _, path in (text.partition("=") for text in options.input):
            write_stamp(options.folder / name, describe(Path(path)))
        for entry in options.entries:
            write_stamp(options.folder / entry, fingerprint(entry, options.world, settings=True))
    except SyntaxError as error:
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    except FileNotFoundError as error:
        return f"{error.filename}: there is no such file"
    return ""


if __name__ == "__main__":
    print(main(), end="")

"""One number for all code that decides other numbers: it changes when they may, and not when only words do.

Syntax trees are hashed, so comments and layout do not count. Nor does what is left out of the tree here: docstrings,
imports (so a module may move), types, what a user is told, and progress bars. The standard library is enough, for make
asks at every call.
"""

import ast
import functools
import hashlib
import json
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
TOLD = {"MagganError", "nearest", "NoEyesError", "damaged"}  # make an error: its words decide nothing
SAID = {"print", "warn", "warn_once", "set_postfix"}  # say something, and do nothing else
PASSED_ON = {"progress"}  # give their first argument on
LOOKS = {"title", "colour", "year"}  # arguments that say how something is shown


def fingerprint(roots, neutral=(), words=False, package=PACKAGE):
    """The SHA-256 of all code that the modules `roots` reach, but for that of the modules `neutral`.

    Modules are named from the package on, "networks.generator"; a neutral package stands for all that is in it. Which
    file code stands in does not count, so it may move. With `words` what a user is told counts too.
    """
    found = []
    for name in closure(roots, neutral, package):
        path = file_of(name, package)
        found += statements(path, path.stat().st_mtime_ns, words)
        found += [data.read_bytes() for data in data_files(path, path.stat().st_mtime_ns)]
    return hashlib.sha256(b"\n".join(sorted(found))).hexdigest()


def closure(roots, neutral=(), package=PACKAGE):
    """The modules `roots` and all that they import, inside functions too, without the neutral ones; sorted."""
    reached, waiting = set(), set(roots)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        path = file_of(name, package)
        found = imported(path, path.stat().st_mtime_ns, package)
        waiting |= {each for each in found - reached if not is_one_of(each, neutral)}
    return sorted(reached)


def is_one_of(name, modules):
    """Whether a module is one of some, or in a package that is."""
    return any(name == each or name.startswith(f"{each}.") for each in modules)


def file_of(name, package=PACKAGE):
    """The file of a module, or None."""
    path = package.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@functools.cache
def imported(path, changed, package=PACKAGE):
    """The modules of this package that a file imports; `changed`, its time, makes an edited file a new one."""
    inside = path.relative_to(package).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names = [(alias.name.removeprefix(f"{package.name}."), "") for alias in node.names
                     if alias.name.startswith(f"{package.name}.")]  # fmt: skip
        elif isinstance(node, ast.ImportFrom):
            parts = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                parts = inside[: len(inside) - node.level] + parts
            elif parts[:1] == (package.name,):
                parts = parts[1:]
            else:
                continue
            names = [(".".join(parts), alias.name) for alias in node.names]
        else:
            continue
        for module, name in names:
            both = f"{module}.{name}" if module and name else module or name
            found |= {next((each for each in (both, module) if each and file_of(each, package)), "")}
    return found - {""}


@functools.cache
def statements(path, changed, words=False):
    """The top-level statements of a file, each as the bytes of its outline; `changed` is its time."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    outlines = (outline(node, words) for node in tree.body)
    return [json.dumps(each).encode() for each in outlines if each is not None]


def outline(node, words=False):
    """A syntax tree as nested lists, without positions and empty fields; None for what decides no number.

    Python versions add optional fields to the tree; leaving out what is empty keeps the outline the same.
    """
    if isinstance(node, list):
        return [each for each in (outline(item, words) for item in node) if each is not None]
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Import | ast.ImportFrom) or is_remark(node, words):
        return None
    if isinstance(node, ast.keyword) and node.arg in LOOKS and not words:
        return None
    if isinstance(node, ast.Raise) and not words:
        return ["Raise"]
    if isinstance(node, ast.Call) and not words and called(node) in TOLD:
        return ["Told"]
    if isinstance(node, ast.Call) and called(node) in PASSED_ON:
        return outline(node.args[0], words) if node.args else ["Nothing"]
    fields = {name: value for name, value in ast.iter_fields(node) if name not in ("annotation", "returns", "kind")}
    return [type(node).__name__, *([name, outline(value, words)] for name, value in fields.items()
                                   if value not in (None, []))]  # fmt: skip


def is_remark(node, words):
    """Whether a statement is a docstring or another lone string, or only says something."""
    if not isinstance(node, ast.Expr):
        return False
    value = node.value
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return True
    return isinstance(value, ast.Call) and not words and called(value) in SAID


def called(call):
    """The last name of what is called."""
    return getattr(call.func, "id", None) or getattr(call.func, "attr", None)


@functools.cache
def data_files(path, changed):
    """The data files beside a module (relations.csv, ...) that it names in a string, sorted; `changed` is its time."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    beside = (file for file in path.parent.iterdir() if file.is_file() and file.suffix != ".py")
    return sorted(file for file in beside if file.name in named)

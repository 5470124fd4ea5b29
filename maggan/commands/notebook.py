"""Run a notebook with parameters and keep the executed copy; make calls it for every notebook it runs."""

import os
import sys
import tempfile
from pathlib import Path

from maggan.basics.errors import MagganError, cli
from maggan.basics.paths import ROOT


def run_notebook(source: Path, output: Path, parameters: dict[str, str]) -> Path:
    """Execute `source` with `parameters` through papermill and move the result to `output` once it is whole.

    A run that fails stays readable beside it as `*.partial.ipynb`, so it is never taken for a finished one.
    Raises MagganError for a notebook or parameter that does not exist, a missing papermill, and a cell that fails.
    """
    if not source.exists():
        raise MagganError(f"{source}: no such notebook")
    try:
        import ipykernel  # noqa: F401, the kernel that papermill starts
        import papermill
        from traitlets.config import Config
    except ImportError as error:
        raise MagganError(f"{source.name}: {error.name} is not installed; python -m pip install {error.name}") from None

    known = papermill.inspect_notebook(str(source))
    for name in parameters:
        if name not in known:
            raise MagganError(f"{source.name}: no parameter called {name!r}; it has {', '.join(known) or 'none'}")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial.ipynb")
    os.environ["MAGGAN_PLAIN"] = "1"             # the kernel inherits it: progress as plain lines
    try:
        with tempfile.TemporaryDirectory(prefix="maggan-") as folder:
            # Sockets as files: kernels that start side by side cannot take each other's ports, nor anyone listen in.
            sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
            papermill.execute_notebook(
                str(source), str(partial), parameters, kernel_name="python3", config=sockets, progress_bar=False,
                extra_arguments=["--log-level=50"],    # the kernel's own chatter; a cell's errors come as ever
                stderr_file=sys.stderr, cwd=str(ROOT / "notebooks"),
            )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        why = f"{error.ename}: {error.evalue}" if error.ename != "MagganError" else error.evalue
        raise MagganError(f"{source.name} failed: {why} (as far as it got: {partial})") from error
    results = os.path.relpath(ROOT / "results", output.parent)  # pictures are linked from where the source lies
    partial.write_text(partial.read_text().replace("](../results/", f"]({results}/"))
    partial.replace(output)
    return output


def main() -> None:
    """Read `SOURCE OUTPUT name=value ...` from the command line."""
    if len(sys.argv) < 3 or not all("=" in argument for argument in sys.argv[3:]):
        raise MagganError("usage: python -m maggan.notebook SOURCE.ipynb OUTPUT.ipynb [name=value ...]")
    run_notebook(Path(sys.argv[1]), Path(sys.argv[2]), dict(pair.split("=", 1) for pair in sys.argv[3:]))


if __name__ == "__main__":
    cli(main)

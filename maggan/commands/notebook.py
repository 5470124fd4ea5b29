"""Execute a notebook with a profile, and one run of a row; make calls it for every notebook.

    python -m maggan.notebook PROFILE NOTEBOOK [ROW-seedN]

The executed copy is in results/<profile>/notebooks. Where there is no papermill, as on many GPU machines, what the
notebook is for is done by the command that it shows.
"""

import os
import runpy
import sys
import tempfile
from importlib.util import find_spec

from maggan.arguments import arguments
from maggan.basics import paths
from maggan.basics.errors import MagganError, cli

# The work of the notebooks that make cannot do without: module, and its arguments beside the profile.
INSTEAD = {
    "07-train-a-row": ("maggan.train", "{row} {profile} --seed {seed}"),
    "08-evaluate-a-row": ("maggan.evaluate", "{row} {profile} --seed {seed}"),
    "09-table3": ("maggan.tables", "table3 {profile}"),
    "11-claims": ("maggan.claims", "{profile}"),
}


def run_notebook(source, output, parameters):
    """Execute `source` with those `parameters` that it has, through papermill; it is moved to `output` once whole.

    A run that fails stays readable beside it as `*.partial.ipynb`, so it is never taken for a finished one.
    Raises MagganError for a notebook that does not exist and a cell that fails.
    """
    if not source.exists():
        raise MagganError(f"{source}: no such notebook")
    # here, for GPU machines have no notebook packages
    import papermill
    from traitlets.config import Config

    known = papermill.inspect_notebook(str(source))
    parameters = {name: value for name, value in parameters.items() if name in known}
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial.ipynb")
    os.environ["MAGGAN_PLAIN"] = "1"  # the kernel inherits it: progress as plain lines
    try:
        with tempfile.TemporaryDirectory(prefix="maggan-") as folder:
            # Sockets as files: kernels that start side by side cannot take each other's ports, nor anyone listen in.
            sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
            papermill.execute_notebook(
                str(source), str(partial), parameters, kernel_name="python3", config=sockets, progress_bar=False,
                extra_arguments=["--log-level=50"],  # the kernel's own chatter; a cell's errors come as ever
                stderr_file=sys.stderr, cwd=str(paths.notebooks()),
            )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        why = f"{error.ename}: {error.evalue}" if error.ename != "MagganError" else error.evalue
        raise MagganError(f"{source.name} failed: {why} (as far as it got: {partial})") from error
    results = os.path.relpath(paths.ROOT / "results", output.parent)  # pictures are linked from where the source lies
    partial.write_text(partial.read_text().replace("](../results/", f"]({results}/"))
    partial.replace(output)
    return output


def main():
    parser = arguments("notebook", __doc__.split("\n")[0], "profile")
    parser.add_argument("notebook", help="its name, such as 09-table3")
    parser.add_argument("run", nargs="?", default="", help="the run that it is for, such as maggan-seed0")
    args = parser.parse_args()
    paths.settle()  # a kernel runs in the notebooks' folder
    row, _, seed = args.run.rpartition("-seed")
    if args.run and not (row and seed.isdigit()):
        raise MagganError(f"'{args.run}' is no run: name a row and a seed, as in maggan-seed0")
    if not args.run and "{row}" in INSTEAD.get(args.notebook, ("", ""))[1]:
        raise MagganError(f"{args.notebook} is about a run: name it, as in maggan-seed0")
    parameters = {"profile": args.profile.name} | ({"row": row, "seed": int(seed)} if args.run else {})
    if find_spec("papermill") and find_spec("ipykernel"):
        name = f"{args.notebook}-{args.run}".rstrip("-")
        output = paths.executed_notebooks(args.profile) / f"{name}.ipynb"
        run_notebook(paths.notebooks() / f"{args.notebook}.ipynb", output, parameters)
        return
    if args.notebook not in INSTEAD:
        raise MagganError(f"{args.notebook} is executed by papermill: python -m pip install papermill ipykernel")
    module, text = INSTEAD[args.notebook]
    sys.argv[1:] = text.format(**parameters).split()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    cli(main)

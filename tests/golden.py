"""The bits that the project's code makes: recorded once, compared ever after.

    python tests/golden.py record     # adds this kind of machine to tests/golden.json
    python tests/golden.py compare    # prints what differs; 1 if anything does
    python tests/golden.py drawn64    # hashes of 200 iterations of stgan and maggan, to be compared by eye

Everything is made at the size `smoke`, on one thread: the weights of every row, those of a run that was killed and
went on, all metrics without their times, and Table 3. The same code gives the same bits on the same kind of
processor; on another kind numbers are compared within `TOLERANCES`, and the comparison says so.
"""

import hashlib
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILE = Path(__file__).with_name("golden.json")
# Of a metrics file: what differs between two equal runs, and the fingerprint of the code that made it.
TIMES = ("wall_seconds", "peak_memory_mb", "versions", "code")
KILLED = ("maggan", 4)  # the row that is killed, and after which iteration
# On another kind of processor: the length of a weights file's vector, and the numbers of metrics files. A metric that
# counts (accuracies, of 16 faces) jumps where a logit is near 0, hence the second.
TOLERANCES = {"weights": 2e-3, "metrics": 0.25}


def kind_of_machine():
    """What decides how sums are rounded, as a name: processor, what of it PyTorch uses, and PyTorch's version."""
    import torch

    model = platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        said = dict(re.findall(r"^(vendor_id|cpu family|model)\s*: (\S+)", cpuinfo.read_text(), re.MULTILINE))
        model += "".join(f" {said[name]}" for name in ("vendor_id", "cpu family", "model") if name in said)
    used = [torch.backends.cpu.get_cpu_capability(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")]
    return " ".join([model, *filter(None, used), f"torch {torch.__version__.split('+')[0]}"])


def of_weights(file):
    """A weights file as {"sha256" of all tensors by name, "length" of them as one vector}: its notes do not count."""
    from safetensors.torch import load_file

    digest, squares = hashlib.sha256(), 0.0
    for name, tensor in sorted(load_file(file).items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode() + tensor.numpy().tobytes())
        squares += tensor.double().square().sum().item()
    return {"sha256": digest.hexdigest(), "length": math.sqrt(squares)}


def of_metrics(file):
    """A metrics file without its times, as {"sha256", "numbers"}: all its numbers by place."""
    held = {name: value for name, value in json.loads(file.read_text()).items() if name not in TIMES}
    return {"sha256": hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest(),
            "numbers": dict(numbers_of(held.get("metrics", held)))}  # fmt: skip


def numbers_of(held, place=""):
    """Every value of nested metrics with its place."""
    for name, value in held.items():
        if isinstance(value, dict):
            yield from numbers_of(value, f"{place}/{name}" if place else name)
        elif isinstance(value, int | float) and name in ("value", "mean"):
            yield place, float(f"{value:.6g}")


def run(*arguments, folder, **options):
    """A command of the package's on folders of its own."""
    environment = {**os.environ, "MAGGAN_RUNS": str(folder / "runs"), "MAGGAN_RESULTS": str(folder / "results"),
                   "OMP_NUM_THREADS": "1", "MAGGAN_PLAIN": "1"}  # fmt: skip
    return subprocess.Popen([sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, text=True, **options)


def done(*arguments, folder):
    """What a command printed, once it has ended well."""
    process = run(*arguments, folder=folder)
    text, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return text


MAKE = """
import sys, torch
torch.set_num_threads(1)
from maggan.train import train
from maggan.variants import ROWS
for row in ROWS:
    train(row, "smoke")
"""
# a checkpoint after every iteration, and no iteration after the wanted one
KILL = """
import sys, time, torch
torch.set_num_threads(1)
import maggan.train
loop = sys.modules.get("maggan.train.loop", maggan.train)
run = sys.modules.get("maggan.train.run") or sys.modules["maggan.run"]
loop.CHECKPOINT_SECONDS = 0
step = run.Run.step
def step_or_wait(self):
    if self.iteration == {iterations}:
        print("now", flush=True)
        time.sleep(600)
    return step(self)
run.Run.step = step_or_wait
maggan.train.train("{row}", "smoke")
"""


def killed(folder, row, iterations):
    """Train a row, kill it without notice once so many iterations are on the disk, and go on."""
    process = run("-c", KILL.format(row=row, iterations=iterations), folder=folder)
    for line in process.stdout:
        if line.strip() == "now":
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    place = folder / "runs" / "smoke" / f"{row}-seed0"
    if (place / "weights.safetensors").exists() or not (place / "checkpoint.pt").exists():
        raise SystemExit("the run that was to be killed was not")
    done("-m", "maggan.train", row, "smoke", folder=folder)
    return of_weights(place / "weights.safetensors")


def made(folder):
    """Everything at smoke size, in a folder: {what: {"sha256", ...}}."""
    done("-m", "maggan.data", "smoke", folder=folder)
    done("-m", "maggan.judges", "smoke", folder=folder)
    done("-c", MAKE, folder=folder)
    found = {}
    rows = sorted(path.name.removesuffix("-seed0") for path in (folder / "runs" / "smoke").glob("*-seed0"))
    for row in rows:
        found[f"weights {row}"] = of_weights(folder / "runs" / "smoke" / f"{row}-seed0" / "weights.safetensors")
    for judge in ("classifier", "features"):
        found[f"weights {judge}"] = of_weights(folder / "runs" / "smoke" / "judges" / f"{judge}.safetensors")
    evaluated = [row for row in [*rows, "no-edit", "true-edit"] if not row.startswith("maggan-mre")]
    evaluate = "import torch; torch.set_num_threads(1)\nfrom maggan.evaluate import evaluate\n"
    evaluate += "from maggan.profiles import profile\n"
    evaluate += f"for row in {evaluated}: evaluate(row, profile('smoke'))"
    done("-c", evaluate, folder=folder)
    for row in [f"{row}-seed0" for row in evaluated] + ["judges"]:
        found[f"metrics {row}"] = of_metrics(folder / "results" / "smoke" / "metrics" / f"{row}.json")
    done("-m", "maggan.tables", "table3", "smoke", folder=folder)
    for kind in ("csv", "md", "tex"):
        data = (folder / "results" / "smoke" / "tables" / f"table3.{kind}").read_bytes()
        found[f"table3.{kind}"] = {"sha256": hashlib.sha256(data).hexdigest()}
    again = folder / "again"
    shutil.copytree(folder / "runs" / "smoke" / "faces", again / "runs" / "smoke" / "faces")
    found["weights of the killed run"] = killed(again, *KILLED)
    return found


def differences(recorded, found, exact):
    """What differs, a line each; `exact` by bits, else numbers within `TOLERANCES`."""
    lines = [f"{what}: is in only one of the two" for what in sorted(recorded.keys() ^ found.keys())]
    for what in sorted(recorded.keys() & found.keys()):
        one, other = recorded[what], found[what]
        if exact:
            lines += [f"{what}: other bits"] if one["sha256"] != other["sha256"] else []
        elif "length" in one:
            ratio = other["length"] / one["length"]
            lines += [f"{what}: its length is {ratio:.5f} of the recorded"] * (abs(ratio - 1) > TOLERANCES["weights"])
        elif "numbers" in one:
            lines += [f"{what}: other metrics"] if one["numbers"].keys() != other["numbers"].keys() else []
            for place in one["numbers"].keys() & other["numbers"].keys():
                a, b = one["numbers"][place], other["numbers"][place]
                if abs(a - b) > TOLERANCES["metrics"] * max(abs(a), abs(b), 0.1):
                    lines.append(f"{what}, {place}: {b:g}, recorded {a:g}")
    return lines


def compare(folder):
    """Compare what today's code makes with what is recorded: (what differs, how it was compared)."""
    recorded, kind = json.loads(FILE.read_text()), kind_of_machine()
    exact = kind in recorded
    here = recorded[kind] if exact else next(iter(recorded.values()))
    how = f"bit by bit, as recorded on {kind}" if exact else (
        f"within tolerances {TOLERANCES}, for nothing was recorded on {kind}, but on {', '.join(recorded)}"
    )  # fmt: skip
    return differences(here, made(folder), exact), how


def record(folder):
    """Add what today's code makes on this kind of machine to the file."""
    recorded = json.loads(FILE.read_text()) if FILE.exists() else {}
    recorded[kind_of_machine()] = made(folder)
    FILE.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


def on_drawn64(folder, iterations=200):
    """The hashes of rows stgan and maggan of drawn64 after some iterations."""
    for row in ("stgan", "maggan"):
        began = time.monotonic()
        done("-m", "maggan.train", row, "drawn64", "--set", f"iterations={iterations}", folder=folder)
        sha = of_weights(folder / "runs" / "drawn64" / f"{row}-seed0" / "weights.safetensors")["sha256"]
        print(f"{row}, {iterations} iterations of drawn64: {sha} ({time.monotonic() - began:.0f} s)", flush=True)


def main():
    if sys.argv[1:] not in (["record"], ["compare"], ["drawn64"]):
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory(prefix="maggan-golden-") as name:
        folder = Path(name)
        if sys.argv[1] == "record":
            record(folder)
        elif sys.argv[1] == "drawn64":
            on_drawn64(folder)
        else:
            lines, how = compare(folder)
            print(f"compared {how}")
            print("\n".join(lines) or "everything is equal")
            sys.exit(bool(lines))


if __name__ == "__main__":
    main()

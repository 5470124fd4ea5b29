"""How the recipe of the small profiles was chosen: `python benchmarks/recipe.py`.

Trains `maggan` on drawn64 for some iterations under today's recipe and with one thing changed each time, and measures
the edits of validation faces; no test face is looked at. Writes docs/recipe.md, and a sheet of faces a recipe beside
its numbers in results/recipe/: numbers alone choose wrongly, so look at the sheets. What is measured is not measured
again; delete results/recipe/ to begin anew. About five minutes of a core a recipe and thousand iterations.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torchvision.utils import save_image

from maggan import metrics, weights
from maggan.attributes import ATTRIBUTES, single_flips
from maggan.basics import paths
from maggan.basics.images import from_levels
from maggan.basics.progress import progress
from maggan.data import open_faces, source
from maggan.evaluate.judges import load_judges, train_judges
from maggan.profiles import profile
from maggan.train import train

FACES, AT_ONCE, SHOWN = 128, 16, 9

# What is changed against today's recipe, and what that is.
CHANGES = {
    "as it is": {},
    "last layer: resize": {"last_layer": "resize"},
    "last layer: deconv": {"last_layer": "deconv"},
    "D_att beside D_adv, on its own trunk": {"attribute_trunk": "own", "attribute_noise": 0.3},
    "D_att ahead, faces not changed against it": {"attribute_reach": 0.0},
    "D_att ahead, changed twice as far": {"attribute_reach": 0.3},
    "one step of D, penalty every 8th": {"critic_steps": 1, "penalty_every": 8},
    "three steps of D, penalty every 6th": {"critic_steps": 3, "penalty_every": 6},
    "no patches in D_adv": {"critic_patches": False},
    "eq. 6 in every step": {"reconstruct_every": 1},
    "rate of D twice G's": {"rate_d": 2e-3},
    "the first recipe": {"critic_steps": 1, "penalty_every": 2, "reconstruct_every": 1, "last_layer": "resize",
                         "critic_patches": False, "attribute_trunk": "own", "attribute_noise": 0.3},
}  # fmt: skip
COLUMNS = (("ms an iteration", "ms", 0), ("PSNR", "psnr", 2), ("MRE floor", "floor", 4), ("MRE excess", "excess", 4),
           ("distance to the truth", "truth", 4), ("nearer than no edit", "nearer", 0), ("Acc. 1.0 %", "accuracy", 1),
           ("second judge", "second", 1))  # fmt: skip
HEAD = """# How the recipe was chosen

The small profiles have minutes, not days, so they leave STGAN's recipe in a few settings, the same for every row. Here
is what each of them does: `maggan` on `drawn64`, seed 0, {iterations} iterations, today's recipe and one change each
time. `python benchmarks/recipe.py` makes this page. The faces are {faces} validation faces; no test face was looked at.

*Distance to the truth* is the mean difference to the true edit, in the pixel range [-1, 1]; that of the untouched face
is {untouched:.4f}. *Nearer than no edit* counts the attributes, of 13, where the edit is nearer to the truth than the
untouched face. Numbers alone choose wrongly: PSNR and MRE like a generator that edits little. So the sheets of faces
decided too.

"""


def scratch(name):
    """Where a recipe's run lies; its faces and judges are those of the profile."""
    return paths.results() / "recipe" / name.replace(" ", "-").replace(":", "").replace(",", "").replace(".", "")


@torch.inference_mode()
def measured(generator, at, judges, folder):
    """The numbers of one generator on validation faces, and the sheet of some of them above their true edits."""
    faces, drawn = open_faces(at, "validation"), source(at, "validation")
    taken = {name: [] for name in ("psnr", "floor", "excess", "truth", "untouched", "accuracy", "second")}
    for start in range(0, FACES, AT_ONCE):
        some = range(start, start + AT_ONCE)
        images, parts, attributes = faces.batch(some)
        edits = generator.edits(images, single_flips(attributes), parts, attributes)
        plain = generator(images, torch.zeros_like(attributes), parts, attributes)
        truth = torch.stack([from_levels(drawn.flipped(some, name)) for name in ATTRIBUTES], 1)
        floor = metrics.mre_of_flips(images, plain.unsqueeze(1).expand_as(edits), parts, attributes)
        taken["psnr"].append(metrics.psnr(images, plain))
        taken["floor"].append(floor)
        taken["excess"].append(metrics.mre_of_flips(images, edits, parts, attributes) - floor)
        taken["truth"].append((edits - truth).abs().mean(dim=(2, 3, 4)))
        taken["untouched"].append((images.unsqueeze(1) - truth).abs().mean(dim=(2, 3, 4)))
        for name, judge in (("accuracy", judges.classifier), ("second", judges.second)):
            logits = judge(edits.flatten(0, 1)).unflatten(0, (-1, len(ATTRIBUTES)))
            taken[name].append(100.0 * metrics.edit_success(logits, attributes))
        if start == 0:
            pairs = torch.stack([torch.cat([images[:, None], each], 1) for each in (edits, truth)], 1)
            save_image(pairs[:SHOWN].flatten(0, 2) * 0.5 + 0.5, folder / "sheet.png", nrow=14, padding=1)
    values = {name: torch.cat(parts) for name, parts in taken.items()}
    nearer = (values["truth"].mean(0) < values["untouched"].mean(0)).sum().item()
    return {name: value.mean().item() for name, value in values.items()} | {"nearer": nearer}


def run(name, at, iterations):
    """Train and measure one recipe; its numbers are on the disk when it is done."""
    folder, main_runs = scratch(name), paths.runs()
    linked = folder / at.name
    linked.mkdir(parents=True, exist_ok=True)
    if not (linked / "faces").exists():
        (linked / "faces").symlink_to(main_runs / at.name / "faces", target_is_directory=True)
    judges = load_judges(at)
    os.environ["MAGGAN_RUNS"] = str(folder)
    began = time.process_time()
    trained = train("maggan", at, iterations=iterations, device="cpu", **CHANGES[name])
    took = (time.process_time() - began) / iterations
    found = measured(weights.load(trained), at, judges, folder)
    paths.write_text(folder / "numbers.json", json.dumps({**found, "ms": 1e3 * took, "iterations": iterations}) + "\n")


def page(iterations):
    """docs/recipe.md from what was measured."""
    files = {name: scratch(name) / "numbers.json" for name in CHANGES}
    found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    lines = ["| recipe | " + " | ".join(title for title, _, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, numbers in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{numbers[key]:.{places}f}" for _, key, places in COLUMNS) + " |")
    untouched = next(iter(found.values()))["untouched"]
    head = HEAD.format(iterations=iterations, faces=FACES, untouched=untouched)
    paths.write_text(paths.ROOT / "docs" / "recipe.md", head + "\n".join(lines) + "\n")
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--profile", type=profile, default="drawn64")
    parser.add_argument("--only", help="one recipe, in this process")
    args = parser.parse_args()
    if args.only:
        return run(args.only, args.profile, args.iterations)
    train_judges(args.profile)
    left = [name for name in CHANGES if not (scratch(name) / "numbers.json").exists()]
    script = [sys.executable, Path(__file__), "--iterations", str(args.iterations), "--profile", args.profile.name]

    def alone(name):  # a process of one thread each
        subprocess.run([*script, "--only", name], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(progress(pool.map(alone, left), "recipes", total=len(left), unit="recipe"))
    page(args.iterations)


if __name__ == "__main__":
    main()

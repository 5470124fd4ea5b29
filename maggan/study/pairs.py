"""Draw the user study: test faces, five changes each, the results of STGAN and MagGAN side by side (Table 2).

`python -m maggan.study PROFILE [--seed 0]`. Everything random follows from the seed, so on one machine two draws are
the same, byte for byte. What is drawn stays when interrupted.
"""

import hashlib
import json
from importlib.metadata import version

import numpy as np
import torch
from PIL import Image

from .. import pretrained
from ..attributes import ATTRIBUTES, CONFLICTS, PARTS, released_flips
from ..basics import paths
from ..basics.errors import MagganError
from ..basics.images import as_picture
from ..basics.progress import progress
from ..data import open_faces, source_of
from ..evaluate.protocol import HAT_SHARE, faces_at_once
from ..evaluate.results import command
from ..weights import load
from .folder import FORMAT, ROWS, Pair, Study, id_of, picture_file

FACES = 50  # with a hat or scarf, and as many without
CHANGES = 5  # a face
HAIR = tuple(CONFLICTS)  # the attributes of hair are those that conflict with one another
HAIR_WEIGHT = 3  # "we increase the chance": by how much is not said
SHOWN = 256  # pixels: pictures are enlarged to about this


def draw_study(profile, seed=0, device="cpu", generators=None):
    """Draw the study of a profile into results/<profile>/study; returns the Study.

    generators  {"stgan": G, "maggan": G} take the place of the trained ones, with `G.edits(images, att_diffs
                (B, K, 13), parts, attributes) -> (B, K, 3, S, S)`

    A study that is there is left as it is; missing pictures are drawn. Raises MagganError where a row is not
    trained, where no test face has a hat, and where people have rated another study in that folder.
    """
    weights = {row: {"from": "given", "sha256": None} for row in ROWS} if generators else find_weights(profile)
    faces, folder = open_faces(profile, "test"), paths.study_folder(profile)
    about, left = plan(profile, faces, weights, seed)
    text = json.dumps(about, indent=1) + "\n"
    make_room(folder, id_of(text))
    if generators is None:
        generators = {row: load(weights[row]["file"], device).to(memory_format=torch.channels_last)
                      for row in ROWS}  # fmt: skip
    draw_pictures(folder, [Pair(**pair) for pair in about["pairs"]], left, faces, generators, device)
    key = json.dumps({"format": FORMAT, "study": id_of(text), "left": left}, indent=1) + "\n"
    said = "".join(f"- {line}\n" for line in notes(profile, about))
    for name, content in (("key.json", key), ("notes.md", said), ("study.json", text)):  # the last one says: finished
        paths.write_text(folder / name, content)
    return Study.open(folder)


def find_weights(profile):
    """The weights of both rows: {row: {"file", "from", "sha256"}}, of seed 0's runs or those of the package.

    Never one of each: they are trained to the same recipe, but not to the same width.
    """
    for source, files in (
        ("run", {row: paths.weights_file(profile, row) for row in ROWS}),
        ("package", {row: pretrained.path(row) for row in ROWS}),
    ):
        there = all(file.exists() for file in files.values())
        if there and (source == "run" or pretrained.trained_by() == profile.name):
            return {row: {"file": file, "from": source, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
                    for row, file in files.items()}  # fmt: skip
    missing = next(row for row in ROWS if not paths.weights_file(profile, row).exists())
    raise MagganError(
        f"{paths.weights_file(profile, missing)} is not there; train the row: {command(missing, profile)}"
    )


def plan(profile, faces, weights, seed):
    """What the study holds (study.json) and which row is on the left ({pair number: row}), from the seed alone."""
    rng = np.random.default_rng(seed)
    groups = choose_faces(profile, faces, rng)
    pairs, left = [], {}
    for hat, group in groups.items():
        # Each row is on the left in half of a group's pairs, so that a rater's favourite side favours neither.
        sides = iter(rng.permutation(np.arange(CHANGES * len(group)) % len(ROWS)))
        for index in group:
            for attribute in choose_attributes(hat, rng):
                number = len(pairs) + 1
                left[str(number)] = ROWS[next(sides)]
                direction = "-" if faces.attributes[index, attribute] else "+"
                pairs.append(Pair(number, faces.names[index], ATTRIBUTES[attribute], direction, hat)._asdict())
    about = {
        "format": FORMAT, "profile": profile.name, "seed": seed, "size": profile.size, "strength": 1.0,
        "faces": {"with_hat": len(groups[True]), "without_hat": len(groups[False]), "identity": faces.identity},
        "weights": {row: {name: found[name] for name in ("from", "sha256")} for row, found in weights.items()},
        "pairs": pairs,
    }  # fmt: skip
    return about, left


def choose_faces(profile, faces, rng):
    """Test faces at random, {True: with a hat or scarf, False: without}: `FACES` each, or as many as there are of both.

    Faces are looked at in a random order until there are enough, for a mask of a photo takes time to read.
    """
    order, found = rng.permutation(len(faces)), {True: [], False: []}
    at_once = 16 * faces_at_once(profile.size)
    for start in range(0, len(order), at_once):
        some = order[start : start + at_once]
        for index, hat in zip(some, wearing(profile, faces, some), strict=True):
            found[bool(hat)].append(int(index))
        if min(len(group) for group in found.values()) >= FACES:
            break
    count = min(FACES, *(len(group) for group in found.values()))
    if not count:
        which = "with" if found[False] else "without"
        raise MagganError(f"{profile.name}: no test face {which} a hat or scarf, so there is nothing to compare.")
    return {hat: group[:count] for hat, group in found.items()}


def wearing(profile, faces, indices):
    """Which of these test faces wear a hat or scarf, (n,) bool.

    A drawn face is told by its own latents. On photos more than a tenth of the picture must be hat, as for Fig. 7; no
    mask and no label of CelebA knows scarves.
    """
    told = source_of(profile).wearing([faces.names[i] for i in indices])
    if told is not None:
        return told.numpy()
    parts = faces.batch(indices).parts
    return (parts[:, PARTS.index("hat")].mean(dim=(1, 2)) > HAT_SHARE).numpy()


def choose_attributes(hat, rng):
    """`CHANGES` distinct attributes of the 13; hair's are drawn `HAIR_WEIGHT` times as readily on faces with a hat."""
    weights = np.array([HAIR_WEIGHT if hat and name in HAIR else 1 for name in ATTRIBUTES], dtype=float)
    return rng.choice(len(ATTRIBUTES), CHANGES, replace=False, p=weights / weights.sum()).tolist()


def make_room(folder, identity):
    """Remove what is there of another study; MagganError where people have rated it.

    Which study is there, the pictures' mark says and study.json. Copies and clean-ups lose the mark, which is hidden.
    """
    mark, named = folder / "pictures" / ".study", folder / "study.json"
    drawn = mark.read_text() if mark.exists() else None
    if drawn == identity:
        return
    old = []
    if not (named.exists() and id_of(named.read_text(encoding="utf-8", errors="replace")) == identity):
        if any(file.stat().st_size for file in (folder / "votes" / "people").glob("*.csv")):  # empty: no vote was saved
            raise MagganError(
                f"{folder}: people have rated another study (another seed, faces or weights); move the folder away to "
                "draw this one."
            )
        old = [named, folder / "simulated.md", *folder.glob("votes/simulated/*.csv"), *folder.glob("pictures/*.png")]
    elif drawn:  # the pictures alone are another study's
        old = folder.glob("pictures/*.png")
    for file in old:
        file.unlink(missing_ok=True)
    paths.write_text(mark, identity)


@torch.inference_mode()
def draw_pictures(folder, pairs, left, faces, generators, device):
    """Write what is missing of the pictures, a face at a time: its results round alike whatever is drawn beside it."""
    number = {name: i for i, name in enumerate(faces.names)}
    of_face = {}
    for pair in pairs:
        of_face.setdefault(pair.face, []).append(pair)
    for name, group in progress(of_face.items(), "study", unit="faces"):
        files = [picture_file(folder, group[0], "source")]
        files += [picture_file(folder, pair, side) for pair in group for side in ("left", "right")]
        if all(file.exists() for file in files):
            continue
        images, parts, attributes = faces.batch([number[name]], device)
        # one attribute reversed, what conflicts with it released: the protocol's edits for accuracy (reading 15)
        which = [ATTRIBUTES.index(pair.attribute) for pair in group]
        changes = released_flips(attributes)[:, which]  # (1, 5, 13)
        edits = {row: generators[row].edits(images, changes, parts, attributes)[0] for row in ROWS}
        shown = [images[0]]
        for i, pair in enumerate(group):
            first = left[str(pair.number)]
            shown += [edits[row][i] for row in sorted(ROWS, key=lambda row: row != first)]
        for file, image in zip(files, shown, strict=True):
            with paths.replacing(file) as partial:
                picture(image).save(partial, "PNG")


def picture(image):
    """An image (3, S, S) in [-1, 1] as a PIL image, small ones enlarged by a whole number to about `SHOWN` pixels.

    Smoothly: a rater should see faces, and the hard edges of enlarged pixels hide eyes and glasses. It adds no detail,
    and source and results get the same.
    """
    small = as_picture(image)
    side = small.width * max(1, SHOWN // small.width)
    return small.resize((side, side), Image.Resampling.BICUBIC) if side > small.width else small


def notes(profile, about):
    """What a reader must know of the study, one line each."""
    count, pairs = about["faces"]["with_hat"], len(about["pairs"])
    lines = [f"{profile.name}, seed {about['seed']}: {pairs} pairs of {2 * count} test faces, half of them with a hat "
             f"or scarf, {CHANGES} changes each at strength {about['strength']}, what conflicts released."]  # fmt: skip
    if count < FACES:
        lines.append(f"Fewer than the paper's {2 * FACES} faces: only {count} test faces "
                     f"with and as many without a hat or scarf were to be had.")  # fmt: skip
    if source_of(profile).people:
        lines.append("Photos: hats are told by the masks; nothing tells scarves.")
    for row, found in about["weights"].items():
        where = {"run": f"runs/{profile.name}/{row}-seed0", "package": f"the package's own, maggan/pretrained/{row}"}
        sha = f" (sha256 {found['sha256'][:16]})" if found["sha256"] else ""
        lines.append(f"Weights of {row}: {where.get(found['from'], found['from'])}{sha}.")
    lines += [f"{profile.name}: {profile.note}."] if profile.note else []
    return [*lines, f"Drawn with torch {version('torch')}, Pillow {version('pillow')}."]

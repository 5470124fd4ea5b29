"""What was measured on every face, kept beside a row's metrics as `<row>-seed<k>.faces.npz`.

N test faces, n of them with a true edit. docs/measures.md says what is inside.
"""

import numpy as np

from ..basics import paths

# name in the file -> name where it was measured, and as what it is kept. Logits in half precision are at most a
# two-thousandth off, and no sign of theirs is another but that of the least of them.
KEPT = {
    "attributes": ("attributes", np.uint8),
    "hat": ("hat", np.uint8),
    "logits_1.0": ("logits_1.0", np.float16),
    "logits_1.5": ("logits_1.5", np.float16),
    "logits_of_faces": ("logits_of_faces", np.float16),
    "mre": ("mre", np.float32),
    "mre_floor": ("mre_floor", np.float32),
    "success_1.0": ("accuracy_1.0", np.uint8),
    "success_1.5": ("accuracy_1.5", np.uint8),
    "success_1.0_second": ("accuracy_1.0_second", np.uint8),
    "success_1.5_second": ("accuracy_1.5_second", np.uint8),
    "effective": ("effectiveness", np.uint8),
    "truth_distance": ("truth_distance", np.float32),
    "truth_distance_nearest": ("truth_distance_nearest", np.float32),
    "no_edit_distance_nearest": ("no_edit_distance_nearest", np.float32),
    "psnr": ("psnr", np.float32),
    "ssim": ("ssim", np.float32),
}


def faces_file(metrics_file):
    """The file of single faces beside a metrics file."""
    return metrics_file.with_suffix(".faces.npz")


def write_faces(file, taken, names):
    """Write what was measured of each face, {name: (N, ...)}, with the faces' names; what is missing is left out."""
    arrays = {name: taken[source].astype(kind) for name, (source, kind) in KEPT.items() if source in taken}
    with paths.replacing(file) as partial, open(partial, "wb") as out:
        np.savez_compressed(out, names=np.array(names), **arrays)

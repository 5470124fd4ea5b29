"""Aligns photos in the wild into squares of 1024 px, as the paper does (section 4), by CelebA-HQ's alignment.

    python -m maggan.align --photos img_celeba --landmarks list_landmarks_celeba.txt --out FOLDER

FOLDER is then a CelebA folder in the official layout (CELEBA=FOLDER): `img_align_celeba/` with JPEGs of quality 95
without chroma subsampling, and the label files beside it. A killed run goes on where it was.

It is the alignment of Karras et al., Progressive growing of GANs (2018), appendix C, without CelebA-HQ's corrections of
single photos, which are encrypted. The blur beyond a photo's edge is Pillow's, three box blurs in place of a Gaussian.
"""

import argparse

from maggan.basics.errors import cli
from maggan.celeba.align import align_photos, copy_labels, labels_beside


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m maggan.align", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--photos", required=True, help="CelebA's photos in the wild: img_celeba, or a zip file of them"
    )
    parser.add_argument("--landmarks", required=True, help="list_landmarks_celeba.txt")
    parser.add_argument("--out", required=True, help="the folder to make, a CelebA folder in the official layout")
    parser.add_argument("--size", type=int, default=1024, help="the side of the squares in pixels (default: 1024)")
    parser.add_argument("--labels", help="the folder of the label files (default: the landmark file's)")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    options = vars(parser.parse_args(arguments))
    copy_labels(options.pop("labels") or labels_beside(options["landmarks"]), options["out"])
    aligned, left_out = align_photos(**options)
    side, out = options["size"], options["out"]
    print(f"{out}: {aligned} photos of {side} x {side}, {left_out} left out; use them: CELEBA={out}")


if __name__ == "__main__":
    cli(main)

"""`python -m maggan.d_att PROFILE`: train D_att ahead of the rows, where their recipe asks for it."""

import torch

from maggan.arguments import arguments
from maggan.basics import paths
from maggan.basics.errors import cli
from maggan.data import open_faces
from maggan.stages import code_of
from maggan.train.d_att import trained_ahead
from maggan.variants import resolve


def main():
    args = arguments("d_att", "Train D_att ahead of the rows.", "profile", "--seed", "--device").parse_args()
    config = resolve("maggan", args.profile, args.seed)
    if config.attribute_trunk != "ahead":
        print(f"{args.profile.name}: D_att learns beside D_adv, with each row")
        return
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    code, faces = code_of("d_att", args.profile.world), open_faces(args.profile, "train")
    trained_ahead(config, paths.runs() / args.profile.name, code, faces, device)


if __name__ == "__main__":
    cli(main)

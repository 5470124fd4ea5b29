"""`python -m maggan.data PROFILE`: prepare the faces of a profile."""

from maggan.arguments import arguments
from maggan.attributes import ATTRIBUTES, PARTS
from maggan.basics.errors import cli
from maggan.data import SPLITS, prepare, source, source_of
from maggan.data.faces import LARGEST_KEPT


def main():
    profile = arguments("data", "Prepare the faces of a profile.", "profile").parse_args().profile
    counts = {split: len(source(profile, split).names) for split in SPLITS}  # an empty split is told before the work
    if profile.size > LARGEST_KEPT:
        how = "drawn" if source_of(profile).made_on_device else "decoded"
        print(f"{profile.name}: faces are {how} as they are needed, nothing to prepare")
        return
    for split, count in counts.items():
        prepare(profile, split)
        print(f"{split}: {count} faces of {len(ATTRIBUTES)} attributes, {len(PARTS)} parts")


if __name__ == "__main__":
    cli(main)

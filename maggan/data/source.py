"""What a source of faces is: one world's faces of one split, by number."""


class Source:
    """The faces of one split of a profile: `SourceOfAWorld(profile, split)`.

    A world's source has `names` of its faces, in order, their `size` in pixels, and

    identity()            what tells these faces from others, as JSON values: what was made of others is then noticed
    load(indices, device) the faces with these numbers as uint8: images (B, 3, S, S), parts (B, 19, S, S) and
                          attributes (B, 13)
    attributes()          the attributes of all faces: (N, 13) uint8
    flipped(indices, attribute, device)   where `true_edits`: these faces with that one attribute flipped, as uint8
    """

    world = ""  # its name, as profiles say it
    needs = ""  # what a make command must name beside the profile, such as " CELEBA=folder"
    people = False  # whether its faces are of people, whose pictures are not to be passed on
    true_edits = False  # whether a face can be made again with one attribute flipped
    made_on_device = False  # whether large faces are made where they are needed; else they are decoded on the CPU

    @staticmethod
    def wearing(names):
        """Which of the faces with these names wear a hat or scarf, (B,) bool; None where masks alone can tell hats."""
        return None

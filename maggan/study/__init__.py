"""The user study of Table 2: pairs of edits, raters' votes, and what they add up to."""

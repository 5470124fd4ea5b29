"""Rate a study, without any page: which pair comes next, a vote, a vote taken back.

`python -m maggan.rating PROFILE --simulate 3` fills votes/simulated by chance, to try the tool: no person looked.
"""

import hashlib
import time

import numpy as np

from ..basics.errors import MagganError, nearest
from ..basics.progress import progress
from .ballots import CHOICES, ballot_file, cast, rater_name, read_ballot, take_back
from .folder import Study


class Rating:
    """One rater at one study; what was voted before is read from the rater's file.

    current     the Pair to be rated, None when all are
    progress    (rated, all)
    """

    def __init__(self, study, rater, kind="people"):
        self.study = study if isinstance(study, Study) else Study.open(study)
        self.rater, self.kind = rater_name(rater), kind
        self.file = ballot_file(self.study, self.rater, kind)
        self.order = shuffled(self.study, self.rater)
        self.refresh()

    def refresh(self):
        """Read the rater's file again: another page may have voted."""
        self.votes = read_ballot(self.file, self.study, self.kind)
        self.shown_now()

    def shown_now(self):
        """The current pair appears now: its seconds count from here."""
        self.shown = time.monotonic()

    @property
    def current(self):
        return next((pair for pair in self.order if pair.number not in self.votes), None)

    @property
    def progress(self):
        return len(self.votes), len(self.order)

    def seconds(self):
        """How long the current pair has been shown."""
        return time.monotonic() - self.shown

    def vote(self, choice):
        """Vote "left", "same" or "right" on the current pair; False where another page has voted on it meanwhile.

        Either way the next pair is current then. Raises MagganError for another choice, when all pairs are rated, and
        where the vote cannot be saved; then the pair stays.
        """
        if choice not in CHOICES:
            raise nearest(choice, CHOICES, "choice")
        pair = self.current
        if pair is None:
            raise MagganError(f"{self.rater} has rated all {len(self.order)} pairs; thank you.")
        try:
            return cast(self.file, self.study, self.kind, pair.number, choice, self.seconds())
        finally:  # after an error too: the file alone says what was voted
            self.refresh()

    def undo(self):
        """Take the last vote back and return its Pair, which is rated again; None where there is none."""
        try:
            number = take_back(self.file, self.study, self.kind)
        finally:
            self.refresh()
        return next((pair for pair in self.order if pair.number == number), None)


def shuffled(study, rater):
    """The pairs in this rater's own order, the same whenever the rater comes back."""
    name = int.from_bytes(hashlib.sha256(rater.encode()).digest()[:8], "big")
    rng = np.random.default_rng([study.about["seed"], name])
    return [study.pairs[i] for i in rng.permutation(len(study.pairs))]


def simulate(study, raters, seed=0):
    """Votes by chance of so many simulated raters, in votes/simulated; what they voted already stays."""
    rng = np.random.default_rng(seed)
    for number in range(1, raters + 1):
        choices = rng.choice(CHOICES, len(study.pairs), p=[0.45, 0.1, 0.45])
        rating = Rating(study, f"simulated-{number}", "simulated")
        for pair, choice in zip(progress(rating.order, rating.rater, unit="pairs"), choices, strict=True):
            if pair.number not in rating.votes:
                cast(rating.file, study, "simulated", pair.number, str(choice))

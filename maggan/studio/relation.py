"""The attribute-part relation as something to edit: two matrices, and what may be set in them."""

import torch

from ..attributes import NEVER_EDITABLE, PAIRS, TABLES, attribute_index, part_index, relation_matrices
from ..basics.errors import MagganError


class Relation:
    """The matrices AR+ and AR- in use, each (13, 19); what is made with them is `_shown`, and outdated by a change."""

    def use_table(self, name):
        """Take a relation table as it comes with the package, "paper" or "extended"."""
        self.relation = dict(zip("+-", relation_matrices(name), strict=True))
        self._shown = None

    def relate(self, attribute, sign, part, on):
        """Let a part change, or not, when the attribute is strengthened ("+") or weakened ("-").

        The other of a pair of parts goes along. Raises MagganError for a part that is never editable.
        """
        row, _ = attribute_index(attribute), part_index(part)
        if sign not in ("+", "-"):
            raise MagganError(f"the sign must be + or -, not '{sign}'.")
        if part in NEVER_EDITABLE:
            raise MagganError(f"{part} is never editable: an edit has to leave it alone.")
        for name in next((pair for pair in PAIRS if part in pair), (part,)):
            self.relation[sign][row, part_index(name)] = float(bool(on))
        self._shown = None

    def related(self, attribute, sign, part):
        """Whether the part may change when the attribute is strengthened ("+") or weakened ("-")."""
        return bool(self.relation[sign][attribute_index(attribute), part_index(part)])

    @property
    def table(self):
        """The relation in use: a table's name, or the two (13, 19) matrices where one was edited."""
        now = self.relation["+"], self.relation["-"]
        for name in TABLES:
            if all(torch.equal(*pair) for pair in zip(now, relation_matrices(name), strict=True)):
                return name
        return now[0].clone(), now[1].clone()

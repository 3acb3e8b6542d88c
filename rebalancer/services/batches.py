"""The life of a batch, in one place to import from."""

from .approving import approve, finish_approval
from .deciding import cancel, remove, reprice, repropose, repropose_some, switch_logic
from .opening import Opened, open_batch
from .proposing import propose_batch
from .refusals import (
    BookChanged,
    LeftOut,
    NotAllowed,
    NothingLeft,
    ProposalChanged,
    Refused,
    SelectionChanged,
    TooLate,
    what_happened,
)

__all__ = [
    "BookChanged", "LeftOut", "NotAllowed", "NothingLeft", "Opened", "ProposalChanged", "Refused", "SelectionChanged",
    "TooLate", "approve", "cancel", "finish_approval", "open_batch", "propose_batch", "remove", "reprice", "repropose",
    "repropose_some", "switch_logic", "what_happened",
]  # fmt: skip

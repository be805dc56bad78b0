"""In which order a listener meets pages and conditions: at random, and the same after a restart.

Things are sorted by a hash of the test's seed, the listener and their own names: nothing has to be
stored, and no version of a random generator changes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from semanticodec.listening.plan import ABX, REFERENCE, Plan


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """A page as one listener meets it.

    Attributes:
        page: index into the plan's pages.
        slots: conditions behind A, B, C ...
        given: condition of the sound beside them: the open reference, or X.
    """

    page: int
    slots: tuple[str, ...]
    given: str

    @property
    def sounds(self) -> tuple[str, ...]:
        """Conditions in the order of the page's buttons."""
        return (self.given, *self.slots)


def presentations(plan: Plan, listener: str) -> list[Presentation]:
    """Return all pages in a listener's order, the training page first.

    Args:
        plan: the test.
        listener: token of the listener.
    """
    key = f"{plan.seed}|{listener}"
    pages = [0, *(int(page) for page in _shuffled(map(str, plan.counted), key))]
    return [_presentation(plan, page, f"{key}|{page}") for page in pages]


def _presentation(plan: Plan, page: int, key: str) -> Presentation:
    if plan.mode == ABX:
        x = _shuffled(plan.names, key)[0]
        return Presentation(page=page, slots=tuple(plan.names), given=x)
    (reference,) = plan.index_of(REFERENCE)
    slots = tuple(_shuffled(plan.names, key))
    return Presentation(page=page, slots=slots, given=plan.names[reference])


def _shuffled(names: Iterable[str], key: str) -> Sequence[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{key}|{name}".encode()).digest())

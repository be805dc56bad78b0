"""The scores of a test as an array: listeners who finished x pages that count x conditions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semanticodec.listening.plan import Plan
from semanticodec.listening.storage import Score


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What listeners said.

    Attributes:
        listeners: tokens of those who answered every page.
        values: 0 to 100, for N listeners, P pages that count and C conditions.
        unfinished: number of pages that count by listener, for those who answered some only.
    """

    listeners: tuple[str, ...]
    values: Float[np.ndarray, "N P C"]
    unfinished: dict[str, int]


def collect(plan: Plan, listeners: Sequence[str], scores: Sequence[Score]) -> Scores:
    """Return the scores of a MUSHRA test.

    Args:
        plan: the test.
        listeners: all tokens, in the order of the result.
        scores: rows of the storage; those of the training page are left out.
    """
    answers: dict[str, dict[tuple[int, str], int]] = defaultdict(dict)
    for score in scores:
        if score.page in plan.counted:
            answers[score.listener][score.page, score.condition] = score.score
    cells = [(page, name) for page in plan.counted for name in plan.names]
    finished = [name for name in listeners if len(answers[name]) == len(cells)]
    values = [[answers[listener][cell] for cell in cells] for listener in finished]
    shape = (len(finished), len(plan.counted), len(plan.names))
    return Scores(
        listeners=tuple(finished),
        values=np.array(values, dtype=float).reshape(shape),
        unfinished={
            name: len(answers[name]) // len(plan.names)
            for name in listeners
            if name not in finished
        },
    )

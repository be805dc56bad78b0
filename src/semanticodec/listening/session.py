"""A listener's way through a test: which page is due, what it plays, what an answer may be."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semanticodec.errors import SemantiCodecError
from semanticodec.listening.order import Presentation, presentations
from semanticodec.listening.plan import ABX, NUM_COMPARED, Plan, read_plan
from semanticodec.listening.storage import RATINGS_NAME, Storage

TOKEN = re.compile(r"[0-9a-f]{32}")
MAX_SCORE = 100


class AnswerError(SemantiCodecError, ValueError):
    """A request that the test does not allow."""


@dataclass(frozen=True)
class Test:
    """A test folder that is held.

    Attributes:
        folder: the test folder.
        plan: what it consists of.
        storage: what listeners said.
    """

    __test__ = False  # no class of tests, whatever pytest thinks

    folder: Path
    plan: Plan
    storage: Storage

    @classmethod
    def open(cls, folder: Path) -> Test:
        """Return the test of a folder.

        Raises:
            DataError: the folder holds none, or ratings of another one.
        """
        plan = read_plan(folder)
        return cls(folder, plan, Storage(folder / RATINGS_NAME, plan.fingerprint))

    @property
    def about(self) -> dict[str, str]:
        """What the page shows before anybody begins."""
        return {"title": self.plan.title, "mode": self.plan.mode}

    def join(self, listener: str, *, is_simulated: bool = False) -> None:
        """Begin or resume.

        Args:
            listener: token that the listener's browser made, 32 hexadecimal digits.
            is_simulated: whether nobody listens: reports say so.
        Raises:
            AnswerError: another text.
        """
        if not TOKEN.fullmatch(listener):
            raise AnswerError("a listener's token is 32 hexadecimal digits")
        self.storage.join(listener, is_simulated=is_simulated)

    def state(self, listener: str) -> dict[str, Any]:
        """Return where a listener stands, as the page shows it; it names no condition.

        Raises:
            UnknownListenerError: nobody joined with this token.
        """
        order, number = self._due(listener)
        state = {
            **self.about,
            "test": self.plan.fingerprint,
            "number": number,
            "total": len(order),
            "is_over": number == len(order),
        }
        if number < len(order):
            state |= {"is_training": number == 0, "num_slots": len(order[number].slots)}
        return state

    def sound(self, listener: str, number: int, index: int) -> Path:
        """Return a sound of the page that is due, or of an earlier one.

        Args:
            listener: token.
            number: place of the page in the listener's order.
            index: 0 for the reference or X, then A, B, C ...
        Raises:
            UnknownListenerError: nobody joined with this token.
            AnswerError: no such sound, or not yet.
        """
        order, due = self._due(listener)
        if not 0 <= number <= min(due, len(order) - 1):
            raise AnswerError("this page is not due yet")
        sounds = order[number].sounds
        if not 0 <= index < len(sounds):
            raise AnswerError(f"this page has {len(sounds)} sounds")
        return self.folder / self.plan.pages[order[number].page].sounds[sounds[index]]

    def answer(self, listener: str, number: int, values: list[int], elapsed_s: float) -> None:
        """Keep an answer, on disk before this returns; the same one again changes nothing.

        Args:
            listener: token.
            number: place of the page in the listener's order.
            values: scores from 0 to 100 of A, B, C ...; in ABX one number, 0 for A and 1 for B.
            elapsed_s: time that the listener spent on the page, in seconds.
        Raises:
            UnknownListenerError: nobody joined with this token.
            AnswerError: not what the page asks for, or not its turn.
            AnsweredError: the page has another answer already.
        """
        order, due = self._due(listener)
        if not 0 <= number < len(order) or number > due:
            raise AnswerError("this page is not due yet; answer the one before it")
        if not math.isfinite(elapsed_s) or elapsed_s < 0:
            raise AnswerError("the time spent on a page is a number of seconds, 0 or more")
        scores = _scores(self.plan, order[number], values)
        self.storage.add(listener, order[number].page, scores, elapsed_s)

    def _due(self, listener: str) -> tuple[list[Presentation], int]:
        """Return a listener's order, and the place of the first page without an answer."""
        done = self.storage.answered(listener)
        order = presentations(self.plan, listener)
        due = [place for place, shown in enumerate(order) if shown.page not in done]
        return order, due[0] if due else len(order)


def _scores(plan: Plan, shown: Presentation, values: list[int]) -> dict[str, int]:
    if plan.mode == ABX:
        if len(values) != 1 or not 0 <= values[0] < NUM_COMPARED:
            raise AnswerError("the answer is 0 where X is A, or 1 where X is B")
        return {shown.given: int(shown.slots[values[0]] == shown.given)}
    if len(values) != len(shown.slots) or not all(0 <= value <= MAX_SCORE for value in values):
        raise AnswerError(f"give {len(shown.slots)} scores from 0 to {MAX_SCORE}")
    return dict(zip(shown.slots, values))

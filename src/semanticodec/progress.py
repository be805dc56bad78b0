"""Progress of all work that may take a while: one line on stderr, for people who watch.

    speech.wav  42 % |####      | 12.3/29.0 s, 3.4x real time, 00:05 left

It appears after two seconds and is gone at the end; what takes part then says so in one line more.
In pipes, log files and terminals that cannot rewrite a line there is nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar

from tqdm import tqdm

DELAY_S = 2.0
INTERVAL_S = 0.2
USUAL_COLUMNS = 80  # of a terminal that does not know
BAR_WIDTHS = (5, 20)
# The unit of sound: its speed is told in times real time, long ones in hours.
SECOND = "s"
SECONDS_PER_HOUR = 3600
# The last columns stay free: terminals wrap after them, and `^C` needs two.
MARGIN = 3
ERASE_LINE = "\r\x1b[K"


def is_terminal() -> bool:
    """Return whether stderr is a terminal that can rewrite a line."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class ProgressBar(tqdm):
    """The line of one piece of work: iterate over it, or `update` it inside a `with`.

    Args:
        items: work to iterate over.
        label: name of the work.
        unit: what is counted, in the singular; `SECOND` for seconds of sound.
        total: number of units; default that of the items, or unknown.
        done: units that were there before.
        shown: False hides it from those who watch, too.
        has_summary: whether one line stays once all is done, where the work has shown itself.
    """

    monitor_interval = 0  # no thread, which a fork would lose
    _open: ClassVar[list[ProgressBar]] = []

    def __init__(
        self,
        items: Iterable[Any] | None = None,
        *,
        label: str = "",
        unit: str,
        total: float | None = None,
        done: float = 0,
        shown: bool = True,
        has_summary: bool = True,
    ) -> None:
        self.has_summary = has_summary
        self.seconds: float | None = None
        super().__init__(
            items,
            desc=label,
            unit=unit,
            total=total,
            initial=done,
            file=sys.stderr,
            disable=not (shown and is_terminal()),
            position=0,  # one line, whatever is going on
            leave=False,
            delay=DELAY_S,
            mininterval=INTERVAL_S,
            miniters=0,
            dynamic_ncols=True,
        )
        if not self.disable:
            self._open.append(self)

    def show(
        self,
        *,
        label: str | None = None,
        note: str | None = None,
        seconds: float | None = None,
        total: float | None = None,
    ) -> None:
        """Change what the line says when it is drawn next.

        Args:
            label: name of the work.
            note: words at the end.
            seconds: seconds of sound done, where something else is counted; the speed is theirs.
            total: number of units.
        """
        if self.disable:
            return
        if label is not None:
            self.set_description_str(label, refresh=False)
        if note is not None:
            self.set_postfix_str(note, refresh=False)
        if seconds is not None:
            self.seconds = seconds
        if total is not None:
            self.total = total

    def reach(self, count: float) -> None:
        """Move to a number of units done, from wherever the line is."""
        if not self.disable:
            self.update(count - self.n)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What a line is made of."""
        return {**super().format_dict, "seconds": self.seconds}

    @staticmethod
    def format_meter(*_: object, **facts: Any) -> str:
        """Return the line as it fits into the terminal."""
        return progress_line(facts)

    def close(self) -> None:
        """Take the line away; where the work is complete, one in its place says so."""
        if self.disable:
            return
        self._open.remove(self)
        was_drawn = self.last_print_t >= self.start_t + DELAY_S
        facts = self.format_dict
        super().close()
        if not was_drawn:
            return
        with suppress(OSError, ValueError):  # a terminal that is gone
            self.fp.write(ERASE_LINE)
            if self.has_summary and self.n > 0 and self.n >= (self.total or 0):
                self.fp.write(summary_line(facts) + "\n")
            self.fp.flush()

    @classmethod
    def hide_all(cls) -> None:
        """Take all lines away until they are drawn next: something else is about to be printed."""
        if cls._open:
            with suppress(OSError, ValueError):
                sys.stderr.write(ERASE_LINE)

    @classmethod
    def close_all(cls) -> None:
        """Take all lines away: the program stops."""
        for bar in list(cls._open):
            bar.has_summary = False
            bar.close()
        if is_terminal():  # `^C` may stand there
            with suppress(OSError, ValueError):
                sys.stderr.write(ERASE_LINE)


def progress_line(facts: dict[str, Any]) -> str:
    """Return the longest of several forms of a line that fits.

    Args:
        facts: `ProgressBar.format_dict`; `ncols` is the width of the terminal.
    """
    width = _width(facts)
    label, note = _label(facts), facts["postfix"] or ""
    share = min(facts["n"] / facts["total"], 1.0) if facts["total"] else None
    percent = "" if share is None else f"{100 * share:3.0f} %"
    count, speed, left = _count(facts), _speed(facts), _left(facts, share)
    words = _joined(count, speed, left, note)
    forms = [
        f"{label} {percent} {words}",
        f"{percent} {words}",
        f"{percent} {_joined(count, speed, left)}",
        f"{percent} {_joined(count, left)}",
        f"{percent} {left}",
    ]
    line = _first_that_fits(forms, width)
    room = min(width - len(line) - 3, BAR_WIDTHS[1])
    if share is None or line != forms[0].strip() or room < BAR_WIDTHS[0]:
        return line
    bar = (("#" if facts["ascii"] else "█") * round(share * room)).ljust(room)
    return f"{label} {percent} |{bar}| {words}".strip()


def summary_line(facts: dict[str, Any]) -> str:
    """Return what work came to, as it fits: "features: 120 windows in 01:05, 1.8 windows/s"."""
    label = f"{_label(facts)}: ".removeprefix(": ")
    count = _count({**facts, "total": None})
    came_to = f"{count} in {tqdm.format_interval(facts['elapsed'])}"
    with_speed = _joined(came_to, _speed(facts))
    words = _joined(with_speed, facts["postfix"] or "")
    forms = [label + words, label + with_speed, label + came_to, with_speed, came_to]
    return _first_that_fits(forms, _width(facts))


def _width(facts: dict[str, Any]) -> int:
    columns = facts["ncols"] or 0
    return (columns if columns > MARGIN else USUAL_COLUMNS) - MARGIN


def _first_that_fits(forms: Iterable[str], width: int) -> str:
    forms = [form.strip() for form in forms]
    return next((form for form in forms if len(form) <= width), forms[-1][:width])


def _label(facts: dict[str, Any]) -> str:
    label = facts["prefix"].removesuffix(": ")  # tqdm's own form
    # File names may hold line breaks, and what moves the cursor.
    return "".join(letter if letter.isprintable() else "?" for letter in label)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _count(facts: dict[str, Any]) -> str:
    number, total, unit, seconds = (facts[name] for name in ("n", "total", "unit", "seconds"))
    if unit == SECOND:
        return _sound(number, total)
    count = f"{number}/{total} {unit}s" if total else f"{number} {unit}{'s' * (number != 1)}"
    return count if seconds is None else f"{count} ({_sound(seconds)})"


def _sound(seconds: float, total: float | None = None) -> str:
    """Return a length of sound, of a total if there is one, in seconds or hours."""
    is_long = (total or seconds) >= SECONDS_PER_HOUR
    divisor, unit, digits = (SECONDS_PER_HOUR, "h", 2) if is_long else (1, SECOND, 1)
    of_total = f"/{total / divisor:.{digits}f}" if total else ""
    return f"{seconds / divisor:.{digits}f}{of_total} {unit}"


def _speed(facts: dict[str, Any]) -> str:
    """Return the mean speed so far; a wait for the first unit is a part of it."""
    number, unit, seconds = facts["n"] - facts["initial"], facts["unit"], facts["seconds"]
    if unit == SECOND or seconds is not None:
        rate = (number if seconds is None else seconds) / max(facts["elapsed"], 1e-9)
        return f"{rate:.{1 if rate >= 1 else 2}f}x real time" if rate else ""
    rate = number / max(facts["elapsed"], 1e-9)
    if not rate:
        return ""
    return f"{rate:.1f} {unit}s/s" if rate >= 1 else f"{1 / rate:.1f} s/{unit}"


def _left(facts: dict[str, Any], share: float | None) -> str:
    number = facts["n"] - facts["initial"]
    if share is None or number <= 0:
        return ""
    left = max(facts["total"] - facts["n"], 0) * facts["elapsed"] / number
    return f"{tqdm.format_interval(left)} left"

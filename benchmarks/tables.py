"""Numbers as text."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds_text(seconds: float) -> str:
    """Return seconds with three digits that mean something."""
    for digits in range(4):
        if seconds >= 10 ** (2 - digits) * 0.9995:
            return f"{seconds:.{digits}f}"
    return f"{seconds:.4f}"

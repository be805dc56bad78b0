"""Word errors: how many words of a transcript a recogniser no longer finds (Sec. IV-C "WER")."""

from __future__ import annotations

import unicodedata

from semanticodec.errors import DataError
from semanticodec.evaluation.metrics.pair import needs

APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\uff07": "'"})


def require_jiwer() -> None:
    """Raise MissingDependencyError unless jiwer is installed."""
    with needs("jiwer"):
        import jiwer  # noqa: F401


def _is_of_word(char: str) -> bool:
    """Return whether a character is a letter, a mark (accent, vowel sign) or a number."""
    return unicodedata.category(char)[0] in "LMN"


def _is_inside(text: str, index: int) -> bool:
    """Return whether a sign belongs to a word (`don't`) or to a number (`1,000.5`)."""
    if not 0 < index < len(text) - 1:
        return False
    before, after = text[index - 1], text[index + 1]
    if text[index] == "'":
        return _is_of_word(before) and _is_of_word(after)
    return text[index] in ".," and before.isdigit() and after.isdigit()


def normalize_text(text: str) -> str:
    """Return the words of a text in lower case, with single spaces between them.

    Punctuation and symbols become spaces, as in the paper, except apostrophes inside words and
    the points and commas inside numbers. Numbers stay as they are written.

    Args:
        text: a transcript or a recogniser's output, in any language.
    Source: Sec. IV-C, "remove all punctuations"; here of both texts.
    """
    plain = unicodedata.normalize("NFC", text.lower()).translate(APOSTROPHES)
    kept = (
        char if _is_of_word(char) or _is_inside(plain, index) else " "
        for index, char in enumerate(plain)
    )
    return " ".join("".join(kept).split())


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Return how many words are wrong, and how many there should be.

    The word error rate of many clips is the sum of the former by the sum of the latter.

    Args:
        reference: the transcript.
        hypothesis: what was recognised; both are normalised here.
    Returns:
        Substitutions, deletions and insertions together; words of the transcript.
    Raises:
        DataError: the transcript holds no words.
        MissingDependencyError: jiwer is not installed.
    """
    expected, found = normalize_text(reference), normalize_text(hypothesis)
    if not expected:
        raise DataError(f"the transcript {reference!r} holds no words; correct or remove it")
    if not found:
        return len(expected.split()), len(expected.split())
    with needs("jiwer"):
        import jiwer
    alignment = jiwer.process_words(expected, found)
    errors = alignment.substitutions + alignment.deletions + alignment.insertions
    return errors, len(expected.split())

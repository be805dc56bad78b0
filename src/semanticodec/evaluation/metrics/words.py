"""Word errors: how many words of a transcript a recognizer no longer finds (Sec. IV-C "WER")."""

from __future__ import annotations

import unicodedata

from semanticodec.errors import ConfigError, DataError
from semanticodec.evaluation.metrics.base import Metric, Pair, Resources, needs, rate
from semanticodec.evaluation.metrics.recognizers import KINDS, Recognizer, open_recognizer

APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\uff07": "'"})


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
        text: a transcript or a recognizer's output, in any language.
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
        hypothesis: what was recognized; both are normalized here.
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


def _open(resources: Resources) -> Recognizer:
    if resources.recognizer is None:
        raise ConfigError(f"the metric 'wer' needs a recognizer; give {KINDS}")
    return open_recognizer(resources.recognizer, device=resources.device)


def _measure(pair: Pair, recognizer: Recognizer) -> tuple[float, ...]:
    expected = pair.transcript
    if expected is None:
        expected = recognizer.remembered(pair.reference, pair.language)
        if not normalize_text(expected):
            raise DataError(f"{recognizer.name} hears no words in the original")
    found = recognizer.transcribe(pair.decoded, pair.language)
    return tuple(float(count) for count in word_errors(expected, found))


WER = Metric(
    name="wer",
    label="WER",
    is_higher_better=False,
    measure=_measure,
    open=_open,
    family="speech",
    package="jiwer",
    unit="%",
    decimals=1,
    is_speech_only=True,
    uses_transcript=True,
    pooled=rate("word_errors", "num_words"),
)

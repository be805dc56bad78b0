"""Texts are compared by their words, and each wrong word counts once."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.errors import DataError, MissingDependencyError
from semanticodec.evaluation.metrics.base import Resources
from semanticodec.evaluation.metrics.words import WER, normalize_text, word_errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Printing, in the only sense --  with which", "printing in the only sense with which"),
        ("You don't mean\tthat?\n", "you don't mean that"),
        ("don’t ‘stop’ the dogs' rock'n'roll", "don't stop the dogs rock'n'roll"),
        ('the "forty-two line Bible" of 1455,', "the forty two line bible of 1455"),
        ("It cost $1,000.50. Then 3, 4.", "it cost 1,000.50 then 3 4"),
        ("see Fig.5, 5.b", "see fig 5 5 b"),
        ("Höhe und Verhältnis, cafe\u0301!", "höhe und verhältnis café"),
        ("हिन्दी, भाषा।", "हिन्दी भाषा"),
        ("snake_case & more…", "snake case more"),
        ("'", ""),
        ("", ""),
        ("?!", ""),
    ],
)
def test_only_words_are_left(text, words):
    assert normalize_text(text) == words


@given(st.text())
def test_normalizing_twice_changes_nothing_more(text):
    once = normalize_text(text)
    assert normalize_text(once) == once
    assert once == " ".join(once.split())


@pytest.mark.parametrize(
    ("hypothesis", "errors"),
    [
        ("The cat sat.", 0),
        ("the bat sat", 1),
        ("the sat", 1),
        ("oh the cat, sat", 1),
        ("", 3),
        ("...", 3),
        ("a b c d e", 5),
    ],
)
def test_each_wrong_word_counts_once(hypothesis, errors):
    pytest.importorskip("jiwer")
    assert word_errors("The cat sat", hypothesis) == (errors, 3)


@given(st.lists(st.sampled_from("abc"), min_size=1), st.lists(st.sampled_from("abc")))
def test_errors_lie_between_the_difference_and_the_maximum_of_the_lengths(expected, found):
    pytest.importorskip("jiwer")
    errors, num_words = word_errors(" ".join(expected), " ".join(found))
    assert num_words == len(expected)
    assert abs(len(expected) - len(found)) <= errors <= max(len(expected), len(found))


def test_a_transcript_without_words_is_refused():
    with pytest.raises(DataError, match=r"transcript '\.\.\.' holds no words"):
        word_errors("...", "anything")


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(MissingDependencyError, match=r"jiwer.*'semanticodec\[eval\]'"):
        WER.opened(Resources(recognizer="pocketsphinx"))

"""Figures per domain, averages, word error rates and paired differences from rows of clips."""

import pytest

from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.summary import averaged_domains, summarize

BASE = {"name": "base", "spec": "base", "details": {}}
OTHER = {"name": "other", "spec": "folder=other", "details": {"version": 2}}


def row(system, clip, num_bits=8000, warnings=(), **scores):
    return {
        "system": system,
        "clip": clip,
        "domain": clip.split("/")[0],
        "num_samples": 16_000,
        "num_bits": num_bits,
        "scores": scores,
        "warnings": list(warnings),
    }


def failed(system, clip):
    return {"system": system, "clip": clip, "domain": clip.split("/")[0], "error": "it broke"}


def summary(rows, systems=(BASE, OTHER), metrics=("mel",), domains=("music", "speech")):
    return summarize(rows, systems, ["base"], metrics, domains)


def test_means_are_per_domain_and_then_of_the_domains():
    rows = [
        row("base", "music/1", mel=1.0),
        row("base", "speech/1", mel=3.0),
        row("base", "speech/2", mel=5.0),
    ]
    (system,) = summary(rows, [BASE])["systems"]
    means = {domain: scores["mel"]["mean"] for domain, scores in system["scores"].items()}
    assert means == {"music": 1.0, "speech": 4.0, "average": 2.5}
    assert system["scores"]["speech"]["mel"]["num_clips"] == 2
    assert 3.0 <= system["scores"]["speech"]["mel"]["low"] < 4.0
    assert system["scores"]["average"]["bits_per_second"]["mean"] == 8000


def test_word_errors_are_summed_before_they_are_divided():
    rows = [
        row("base", "speech/1", word_errors=1.0, num_words=2.0),
        row("base", "speech/2", word_errors=0.0, num_words=18.0),
        row("base", "speech/3"),
        row("base", "music/1"),
    ]
    (system,) = summary(rows, [BASE], metrics=("wer",))["systems"]
    assert system["scores"]["speech"]["wer"]["mean"] == pytest.approx(5.0)  # percent
    assert system["scores"]["speech"]["wer"]["num_clips"] == 2
    # No average of a measure that some domains do not have.
    assert "wer" not in system["scores"].get("average", {})


def test_unknown_bits_are_left_out():
    (system,) = summary([row("base", "music/1", num_bits=None, mel=1.0)], [BASE])["systems"]
    assert "bits_per_second" not in system["scores"]["music"]
    assert "bits_per_second" not in summary([row("base", "music/1", None)], [BASE])["clips"][0]


def test_failures_are_named_and_count_in_no_mean():
    rows = [
        row("base", "music/1", mel=1.0, warnings=["too quiet"]),
        failed("base", "music/2"),
        failed("base", "speech/1"),
    ]
    result = summary(rows, [BASE])
    (system,) = result["systems"]
    assert system["num_clips"] == 3
    assert system["failures"] == [
        {"clip": "music/2", "error": "it broke"},
        {"clip": "speech/1", "error": "it broke"},
    ]
    assert system["warnings"] == [{"clip": "music/1", "warning": "too quiet"}]
    assert system["scores"]["music"]["mel"]["num_clips"] == 1
    # A domain without a clip has no figure, and without it there is no average.
    assert set(system["scores"]) == {"music"}
    assert [clip["clip"] for clip in result["clips"]] == ["music/1"]


def test_differences_are_paired_over_the_clips_that_both_have():
    rows = [
        row("base", "music/1", mel=1.0),
        row("base", "music/2", mel=10.0),
        row("base", "music/3", mel=100.0),
        row("other", "music/1", mel=0.5),
        row("other", "music/2", mel=9.5),
        failed("other", "music/3"),
        failed("base", "music/4"),
        row("other", "music/4", mel=7.0),
    ]
    (difference,) = summary(rows)["differences"]
    assert difference == {
        "system": "other",
        "baseline": "base",
        "domain": "music",
        "metric": "mel",
        "mean": -0.5,
        "low": -0.5,
        "high": -0.5,
        "num_clips": 2,
    }


def test_differences_of_word_error_rates():
    rows = [
        row("base", "speech/1", word_errors=0.0, num_words=10.0),
        row("base", "speech/2", word_errors=2.0, num_words=30.0),
        row("other", "speech/1", word_errors=1.0, num_words=10.0),
        row("other", "speech/2", word_errors=3.0, num_words=30.0),
    ]
    (difference,) = summary(rows, metrics=("wer",))["differences"]
    assert difference["mean"] == pytest.approx(100 * 2 / 40)


def test_correlations_are_of_all_clips_together_and_tables_of_clips_hold_their_own():
    keys = METRICS["detail_0"].keys
    # Two clips of three values each: the same, and the opposite of the original.
    same = dict(zip(keys, (6.0, 6.0, 14.0, 14.0, 14.0, 3.0)))
    opposite = dict(zip(keys, (6.0, 6.0, 14.0, 14.0, 10.0, 3.0)))
    rows = [
        *(row(name, "music/1", **same) for name in ("base", "other")),
        row("base", "music/2", **same),
        row("other", "music/2", **opposite),
    ]
    found = summary(rows, metrics=("detail_0",))
    base, other = (each["scores"]["music"]["detail_0"]["mean"] for each in found["systems"])
    assert base == pytest.approx(1.0) and other == pytest.approx(0.0)
    assert found["differences"][0]["mean"] == pytest.approx(-1.0)
    own = [clip["detail_0"] for clip in found["clips"]]
    assert own == pytest.approx([1.0, 1.0, 1.0, -1.0])
    assert not set(keys) & set(found["clips"][0])


def test_every_baseline_is_compared_with():
    rows = [row(name, "music/1", mel=1.0) for name in ("base", "other", "third")]
    systems = [BASE, OTHER, {**BASE, "name": "third"}]
    found = summarize(rows, systems, ["base", "third"], ["mel"], ["music"])["differences"]
    assert [(entry["system"], entry["baseline"]) for entry in found] == [
        ("other", "base"),
        ("other", "third"),
    ]


def test_additional_sets_do_not_count_in_the_average():
    assert averaged_domains(["general", "music", "speech", "speech_extra"]) == [
        *("general", "music", "speech")
    ]
    assert averaged_domains(["birds", "cars"]) == ["birds", "cars"]

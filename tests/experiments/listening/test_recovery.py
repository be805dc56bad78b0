"""Simulated listeners of known preferences: the analysis finds them, and whom to leave out."""

import pytest

from experiments.listening.__main__ import QUALITIES, main
from experiments.listening.simulated import Panel, hold
from listening_tests import make_test
from semanticodec.errors import DataError
from semanticodec.listening import analysis
from semanticodec.listening.analysis import analyze
from semanticodec.listening.plan import ABX

TRUTH = {"anchor 3.5 kHz": 20.0, "anchor 7 kHz": 60.0, "one": 55.0, "half": 45.0}


def test_preferences_are_recovered(tmp_path):
    test = make_test(tmp_path)
    hold(test, Panel(qualities=TRUTH, num_careful=16, num_careless=3))
    results = analyze(test.folder, tmp_path / "results")
    assert list(results["left_out"]) == ["listener 17", "listener 18", "listener 19"]
    assert (results["num_listeners"], results["num_simulated"]) == (16, 19)
    scores = results["scores"]
    assert scores["reference"]["mean"] == 100
    for name, quality in TRUTH.items():
        assert scores[name]["mean"] == pytest.approx(quality, abs=5)
        assert scores[name]["low"] - 2 <= quality <= scores[name]["high"] + 2
        assert abs(scores[name]["median"] - quality) <= 5
    (difference,) = [
        entry
        for entry in results["differences"]
        if (entry["condition"], entry["other"]) == ("one", "half")
    ]
    assert 0 < difference["low"] < 10 < difference["high"] + 2
    assert {name: found["num_pages"] for name, found in results["domains"].items()} == {
        "music": 2,
        "speech": 3,
    }
    report = (tmp_path / "results/report.md").read_text()
    assert "19 listeners were simulated: no person stands behind these numbers." in report
    lines = (tmp_path / "results/scores.csv").read_text().splitlines()
    assert len(lines) == 1 + 19 * 6 * 5
    # A token would let others go on as this listener.
    token = next(iter(test.storage.listeners()))
    assert not any(token in path.read_text() for path in (tmp_path / "results").glob("*.[cjm]*"))


def test_careless_scores_would_have_changed_the_result(tmp_path, monkeypatch):
    test = make_test(tmp_path, num_clips=1)
    hold(test, Panel(qualities=TRUTH, num_careful=8, num_careless=8))
    screened = analyze(test.folder, tmp_path)
    monkeypatch.setattr(analysis, "post_screen", lambda values, *_: [None] * len(values))
    everybody = analyze(test.folder, tmp_path)
    name = "anchor 3.5 kHz"
    errors = [abs(found["scores"][name]["mean"] - 20) for found in (screened, everybody)]
    assert errors[0] < 6 < errors[1]


@pytest.mark.parametrize(("share_right", "is_told"), [(0.8, True), (0.5, False)])
def test_abx_tells_those_who_hear_from_those_who_guess(tmp_path, share_right, is_told):
    test = make_test(tmp_path, mode=ABX, repeats=4)
    hold(test, Panel(qualities={}, num_careful=3, share_right=share_right))
    results = analyze(test.folder, tmp_path / "results")
    answers = results["answers"]
    assert answers["num_trials"] == 3 * 5 * 4
    assert (answers["p_value"] < 0.001) == is_told
    assert answers["low"] < share_right < answers["high"]
    assert len(results["by_listener"]) == 3


def test_nobody_left_is_an_error(tmp_path):
    test = make_test(tmp_path, num_clips=1)
    hold(test, Panel(qualities=TRUTH, num_careful=0, num_careless=2))
    with pytest.raises(DataError, match="none is left after post-screening"):
        analyze(test.folder, tmp_path)


def test_the_documentation_shows_what_the_command_makes(tmp_path, capfd, request):
    assert main(["-o", str(tmp_path)]) == 0
    assert "listener 13 is left out" in capfd.readouterr().out
    shown = request.config.rootpath / "docs/listening_test/report.md"
    assert (tmp_path / "report.md").read_text() == shown.read_text()
    assert len(QUALITIES) == 5

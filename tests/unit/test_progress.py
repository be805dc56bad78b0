"""Progress is one line for people who watch: it fits, it goes, and pipes never see it."""

import io
import sys

import pytest

from semanticodec import progress
from semanticodec.progress import SECOND, ProgressBar, progress_line, summary_line
from terminal import stderr_on_a_terminal

FACTS = {
    "n": 12,
    "total": 30,
    "initial": 0,
    "elapsed": 6.0,
    "ncols": 80,
    "prefix": "features",
    "ascii": True,
    "unit": "window",
    "postfix": None,
    "seconds": None,
}


@pytest.fixture
def at_once(monkeypatch):
    """Lines that do not wait."""
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)


def line(**facts):
    return progress_line({**FACTS, **facts})


def test_a_line_tells_totals_speed_and_time_left():
    words = "12/30 windows, 2.0 windows/s, 00:09 left"
    assert line(ncols=81) == f"features  40 % |########            | {words}"
    assert line(total=None, ncols=60) == "features  12 windows, 2.0 windows/s"
    seconds = {"unit": SECOND, "n": 24.0, "total": 60.0, "ncols": 50, "prefix": ""}
    assert line(**seconds) == "40 % 24.0/60.0 s, 4.0x real time, 00:09 left"
    assert "1.00/2.00 h, 600.0x real time" in line(unit=SECOND, n=3600, total=7200, ncols=60)
    assert line(prefix="a\nb\x1b[2J.wav").startswith("a?b?[2J.wav  40 %")
    assert "3.0 s/window" in line(n=2) and "0/30 windows" in line(n=0)
    assert "12/30 recordings (24.0 s), 4.0x real time" in line(unit="recording", seconds=24.0)
    assert line(postfix="2 failed").endswith("left, 2 failed")
    resumed = line(initial=10)
    assert "12/30 windows, 3.0 s/window, 00:54 left" in resumed


@pytest.mark.parametrize("columns", range(4, 130))
def test_a_line_fits_and_says_the_time_left_as_long_as_it_can(columns):
    for facts in ({}, {"prefix": "recordings/a long name.wav", "postfix": "loss 0.1, codes 12"}):
        text = line(ncols=columns, **facts)
        assert len(text) <= columns - 3
        assert columns < 20 or ("40 %" in text and "00:09 left" in text)


def test_a_summary_has_totals_and_speed():
    assert summary_line({**FACTS, "n": 30}) == "features: 30 windows in 00:06, 5.0 windows/s"
    once = {**FACTS, "n": 1, "prefix": "", "postfix": "1 failed"}
    assert summary_line(once) == "1 window in 00:06, 6.0 s/window, 1 failed"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("columns", [40, 100])
def test_work_shows_itself_and_leaves_one_line(columns):
    with stderr_on_a_terminal(columns) as terminal:
        for _ in ProgressBar(range(5), label="features", unit="window"):
            pass
        with ProgressBar(unit="file", total=2, has_summary=False) as files:
            with ProgressBar(label="a.wav", unit=SECOND, total=2.0, has_summary=False) as sound:
                sound.reach(1.5)
            files.update()
    assert "5/5 windows" in terminal.text and "75 %" in terminal.text
    assert any(text.startswith("50 %") for text in terminal.drawn)
    lines = terminal.screen
    assert len(lines) == 2 and lines[0].startswith("features: 5 windows in 00:00")
    assert lines[1] == ""


@pytest.mark.usefixtures("at_once")
def test_work_that_fails_leaves_an_empty_line():
    with stderr_on_a_terminal(60) as terminal:
        with pytest.raises(ValueError, match="wrong"), ProgressBar(unit="file", total=4) as bar:
            bar.update(2)
            raise ValueError("wrong")
        hanging = ProgressBar(unit="file", total=4)
        hanging.update(4)
        sys.stderr.write("^C")
        ProgressBar.close_all()
        ProgressBar.close_all()
    assert "2/4 files" in terminal.text and "^C" in terminal.text
    assert terminal.screen == [""]


def test_short_work_shows_nothing():
    with stderr_on_a_terminal(60) as terminal:
        for _ in ProgressBar(range(5), unit="window"):
            pass
    assert terminal.text.replace("\r", "").strip() == ""


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("where", ["pipe", "dumb", "quiet"])
def test_nobody_sees_it_elsewhere(where, monkeypatch):
    monkeypatch.setattr(sys, "stderr", pipe := io.StringIO())
    with pytest.MonkeyPatch.context() as patch:
        if where != "pipe":
            patch.setattr(pipe, "isatty", lambda: True, raising=False)
            patch.setenv("TERM", "dumb" if where == "dumb" else "xterm")
        assert list(ProgressBar(range(5), unit="window", shown=where != "quiet")) == list(range(5))
        ProgressBar.hide_all()
    assert pipe.getvalue() == ""

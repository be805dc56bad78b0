"""What `semanticodec train` hands to a recipe, what it says at the end, and its old spellings."""

from __future__ import annotations

from pathlib import Path

import pytest

from semanticodec.cli import main, train


class Recorder:
    """A recipe that keeps its options instead of training."""

    def __init__(self, *, is_main=True):
        self.is_main, self.options = is_main, None

    def run(self, options):
        self.options = options
        return options.out / "export" if self.is_main else None


@pytest.fixture
def recorder(monkeypatch):
    recipe = Recorder()
    monkeypatch.setattr(train, "recipes_of", lambda stage: {"small": lambda: recipe})
    return recipe


@pytest.mark.parametrize(
    ("stage", "use"),
    [("vae", "--module vae=run/export"), ("codec", "--model run/export")],
)
def test_the_closing_line_says_where_the_export_is_and_how_to_use_it(recorder, capsys, stage, use):
    assert main(["train", stage, "--data", "a", "--output", "run"]) == 0
    assert capsys.readouterr().out == f"exported to run/export: use it as {use}\n"


def test_quiet_runs_and_other_processes_say_nothing(recorder, capsys):
    assert main(["train", "vae", "--data", "a", "-o", "run", "--quiet"]) == 0
    recorder.is_main = False
    assert main(["train", "vae", "--data", "a", "-o", "run"]) == 0
    assert capsys.readouterr() == ("", "")


def test_old_spellings_mean_what_they_meant(recorder, capsys):
    old = "--data a --out run --box vae=b --box codec=c --workers 3"
    new = "--data a --output run --module vae=b --module codec=c --jobs 3"
    assert main(["train", "vocoder", *old.split()]) == 0
    options = recorder.options
    assert options.modules == {"vae": Path("b"), "codec": Path("c")} and options.num_jobs == 3
    assert capsys.readouterr().err.splitlines() == [
        "semanticodec: --out is now called --output",
        "semanticodec: --box is now called --module",
        "semanticodec: --box is now called --module",
        "semanticodec: --workers is now called --jobs",
    ]
    assert main(["train", "vocoder", *new.split()]) == 0
    assert recorder.options == options
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--module vae", "--module 'vae' is not understood; write NAME=FOLDER"),
        ("--module vae=a --module vae=b", "--module vae is given twice"),
        ("--lr 0", "learning rate of 0.0 is not possible"),
        ("--recipe huge", "no recipe 'huge' for vae; choose one of small"),
    ],
)
def test_wrong_options_are_one_line(recorder, capsys, more, message):
    assert main(["train", "vae", "--data", "a", "-o", "run", *more.split()]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1

"""Every input is accounted for: in JSON, in the closing line and in the exit status."""

import argparse
import json
import re
import sys
from pathlib import Path

import pytest

from semanticodec import progress
from semanticodec.cli import run_command
from semanticodec.cli.inputs import Input
from semanticodec.cli.outputs import Task, written_whole
from semanticodec.cli.report import print_error, run_each
from semanticodec.errors import AudioError
from terminal import stderr_on_a_terminal

SIZES = {"seconds": 1.0, "tokens": 112, "bytes": 230, "kbps": 1.84, "elapsed_s": 0.1}


def options(**changes):
    defaults = {"json": False, "quiet": False, "overwrite": False, "skip_existing": False}
    return argparse.Namespace(**{**defaults, **changes})


def make_tasks(folder, *names):
    return [
        Task(
            item=Input(name=name, path=Path(name), relative=Path(name)),
            target=folder / f"{name}.smtc",
        )
        for name in names
    ]


def write(task, args):
    with written_whole(task.target, replace=args.overwrite) as partial:
        partial.write_text(task.item.name)
    return dict(SIZES)


def work_on(tasks, args):
    def work(task):
        if task.item.name == "bad":
            raise AudioError("no sound")
        return write(task, args)

    return run_each(tasks, work, args, "encoded")


def test_all_that_happens_is_counted(tmp_path, capsys):
    (tmp_path / "old.smtc").touch()
    tasks = make_tasks(tmp_path, "a", "old", "bad", "b")
    assert work_on(tasks, options(skip_existing=True)) == 2
    out, err = capsys.readouterr()
    assert err == "semanticodec: error: bad: no sound\n"
    lines = out.splitlines()
    assert [line.split(" ")[0] for line in lines[:-1]] == ["a", "b"]
    totals = rf"{2 * SIZES['seconds']:.1f} s in 0\.\d s, \S+x real time"
    assert re.fullmatch(f"2 encoded, 1 skipped, 1 failed, {totals}", lines[-1])
    assert (tmp_path / "old.smtc").read_text() == ""


def test_json_has_an_object_with_a_status_for_every_input(tmp_path, capsys):
    (tmp_path / "old.smtc").touch()
    tasks = make_tasks(tmp_path, "a", "old", "bad")
    assert work_on(tasks, options(json=True, skip_existing=True)) == 2
    done, skipped, failed = map(json.loads, capsys.readouterr().out.splitlines())
    paths = {name: str(tmp_path / f"{name}.smtc") for name in ("a", "old", "bad")}
    assert done == {"input": "a", "output": paths["a"], "status": "done", **SIZES}
    assert skipped == {"input": "old", "output": paths["old"], "status": "skipped"}
    assert failed == {
        "input": "bad",
        "output": paths["bad"],
        "status": "failed",
        "error": "no sound",
    }


def test_one_file_needs_no_closing_line_and_quiet_means_errors_only(tmp_path, capsys):
    assert work_on(make_tasks(tmp_path, "a"), options()) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert work_on(make_tasks(tmp_path, "b", "bad"), options(quiet=True)) == 2
    assert capsys.readouterr() == ("", "semanticodec: error: bad: no sound\n")


@pytest.mark.parametrize("skip_existing", [True, False])
def test_two_jobs_do_not_rewrite_each_other(tmp_path, capsys, skip_existing):
    args = options(skip_existing=skip_existing)
    (task,) = make_tasks(tmp_path, "a")

    def work(task):
        with written_whole(task.target, replace=args.overwrite) as partial:
            partial.write_text("late")
            task.target.write_text("early")  # by the other job
        return dict(SIZES)

    assert run_each([task], work, args, "encoded") == (0 if skip_existing else 2)
    assert task.target.read_text() == "early"
    assert [path.name for path in tmp_path.iterdir()] == ["a.smtc"]
    err = capsys.readouterr().err
    assert err == "" if skip_existing else "exists already, made by another process" in err


def test_errors_name_their_file_once(capsys):
    for name, text, expected in (
        ("a.wav", "no sound", "a.wav: no sound"),
        ("a.wav", "a.wav has no sound", "a.wav has no sound"),
        ("-", "a 16-bit file", "-: a 16-bit file"),
    ):
        print_error(AudioError(text), name)
        assert capsys.readouterr().err == f"semanticodec: error: {expected}\n"
    print_error(PermissionError(13, "Permission denied", "a.wav"), "a.wav")
    assert capsys.readouterr().err == "semanticodec: error: a.wav: Permission denied\n"
    print_error(AudioError("two\nlines"))
    assert capsys.readouterr().err == "semanticodec: error: two lines\n"


def test_a_terminal_of_40_columns_shows_what_is_done_and_keeps_errors(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    with stderr_on_a_terminal(40) as terminal:
        tasks = make_tasks(tmp_path, "a", "bad", "b", "c")
        assert work_on(tasks, options()) == 2
    assert any(re.match(r"50 % 2/4 files \(1.0 s\), 00:00 left", text) for text in terminal.drawn)
    assert terminal.screen == ["semanticodec: error: bad: no sound", ""]
    assert "\x1b[3" not in terminal.text
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 encoded, 1 failed, 3.0 s in 0.")


def test_ctrl_c_leaves_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)

    def stopped(task):
        if task.item.name == "b":
            sys.stderr.write("^C")
            raise KeyboardInterrupt
        return dict(SIZES)

    def run(args):
        return run_each(make_tasks(tmp_path, "a", "b", "c"), stopped, options(quiet=False), "done")

    with stderr_on_a_terminal(40) as terminal:
        assert run_command(argparse.ArgumentParser(), run, []) == 130
    assert "33 % 1/3 files" in terminal.text
    assert terminal.screen == ["semanticodec: stopped", ""]

"""The help of `evaluate` answers at once and names all that there is."""

import dataclasses
import re
import subprocess
import sys

import pytest

from evaluation_fakes import write_clip
from semanticodec.cli import main
from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.systems import KINDS

HEAVY = ("torch", "numpy", "scipy", "soundfile", "semanticodec.evaluation")


@pytest.mark.parametrize("words", [(), ("reconstruction",), ("semantics",)])
def test_help_comes_without_torch(words):
    program = (
        "import sys; from semanticodec.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as done: assert done.code == 0\n"
        f"assert not set({HEAVY}) & set(sys.modules), set({HEAVY}) & set(sys.modules)"
    )
    command = [sys.executable, "-c", program, "evaluate", *words, "--help"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("usage: ")


def output(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "reconstruction", *words])
    assert stopped.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_system_and_option(capsys):
    words = set(re.findall(r"[\w-]+", output(capsys, "--help")))
    assert set(KINDS) <= words
    options = {field.name for kind in KINDS.values() for field in dataclasses.fields(kind.Options)}
    assert options <= words


def test_every_metric_is_listed(capsys):
    rows = [re.split(r"  +", line) for line in output(capsys, "--list-metrics").splitlines()]
    assert rows[0] == ["metric", "title", "family", "package"]
    assert [row[:3] for row in rows[1:]] == [
        [metric.name, metric.label, metric.family] for metric in METRICS.values()
    ]


def test_old_specifications_work_and_say_how_they_are_written_now(tmp_path, capsys):
    write_clip(tmp_path / "suite" / "a.wav")
    words = ["--suite", tmp_path / "suite", "--out", tmp_path / "out", "--metrics", "mel", "-q"]
    words += ["--jobs", 1, "--system", f"folder={tmp_path / 'suite'},name=copy"]
    assert main(["evaluate", "reconstruction", *map(str, words)]) == 0
    lines = capsys.readouterr().err.splitlines()
    new = f"folder:path={tmp_path / 'suite'},name=copy"
    assert lines == [
        "semanticodec: --out is now called --output",
        f"semanticodec: {words[-1]} is now written {new}",
    ]


def test_the_papers_clips_are_fetched_by_another_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--suite", "paper", "-o", "out", "--system", "ground-truth"]
    assert main(["evaluate", "reconstruction", *words]) == 2
    assert "is now fetched by `python -m experiments.paper`" in capsys.readouterr().err


def test_something_must_be_evaluated(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate"])
    assert "required: WHAT" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ablations", "figures", "results"])
def test_commands_that_moved_name_the_new_ones(name, capsys):
    assert main(["evaluate", name, "--out", "x", "-q", "vocabulary", "--help"]) == 2
    err = capsys.readouterr().err
    assert (
        err.count("\n") == 1 and f"is now `python -m experiments.{name}`, run from a clone" in err
    )


def test_packages_that_are_missing_are_named(tmp_path):
    program = (
        "import sys; sys.modules['pandas'] = None\n"
        "from semanticodec.cli import main\n"
        "sys.exit(main(['evaluate', 'reconstruction', '--suite', 'x', '-o', 'y', '--system', 'z']))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1
    assert "needs pandas; install it with pip install 'semanticodec[eval]'" in finished.stderr

"""The help of `evaluate` answers at once and names all that there is."""

import re
import subprocess
import sys

import pytest

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


def test_help_names_every_system_option_and_metric(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "reconstruction", "--help"])
    words = set(re.findall(r"[\w-]+", capsys.readouterr().out))
    assert set(KINDS) <= words
    assert {option for kind in KINDS.values() for option in kind.options} <= words
    assert set(METRICS) <= words


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

"""`semanticodec benchmark` as users type it: a table, JSON and error texts."""

import json
import subprocess
import sys

import pytest

from semanticodec.cli import main

HEAVY = ("torch", "numpy", "soundfile", "matplotlib")


def run(capfd, *words):
    status = main(["benchmark", "--runs", "1", "--seconds", "1", *map(str, words)])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


def test_help_comes_without_torch():
    program = (
        "import sys; from semanticodec.cli import main\n"
        "try: main(['benchmark', '--help'])\n"
        "except SystemExit as done: assert done.code == 0\n"
        f"assert not set({HEAVY}) & set(sys.modules), set({HEAVY}) & set(sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "python -m benchmarks.modules --help" in finished.stdout


def test_a_model_is_measured(tiny_folder, capfd):
    status, text, err = run(capfd, "--model", tiny_folder)
    assert (status, err) == (0, "")
    assert text.startswith(f"{tiny_folder} (100 tokens per second) on ")
    assert "sampler ddim, 4 steps, guidance 2" in text
    status, text, err = run(capfd, "--model", tiny_folder, "--dtype", "bfloat16", "--json")
    assert (status, err) == (0, "")
    report = json.loads(text)
    assert [stage["name"] for stage in report["stages"]] == ["encode", "decode"]
    assert report["settings"]["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--device", "cuda:99"), "this machine has no device 'cuda:99'; choose cpu or auto"),
        (("--device", "abacus"), "'abacus' is not a device"),
        (("--model", "no-such-folder"), "no-such-folder is no model folder"),
        (("--seconds", "0"), "a sound of 0 s is not measured"),
        (("--official", "-q"), "are now options of `python -m benchmarks.modules`"),
        (("--boxes", "unet", "vae"), "are now options of `python -m benchmarks.modules`"),
        (("-o", "folder"), "are now options of `python -m benchmarks.modules`"),
    ],
)
def test_mistakes_get_one_clear_line(words, text, capfd):
    status, out, err = run(capfd, *words)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1 and text in err

"""`semanticodec tokenize` as people type it: what it writes, says and returns."""

import json

import numpy as np
import pytest
import soundfile

from semanticodec.cli import main
from semanticodec.corpus import read_corpus


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for at in range(3):
        wav = 0.1 * np.random.default_rng(at).standard_normal(8000)
        soundfile.write(folder / f"{at}.flac", wav, 16_000)
    return folder


def run(capfd, *words):
    capfd.readouterr()
    status = main([str(word) for word in words])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


def test_a_folder_becomes_a_corpus(recordings, tiny_folder, tiny_codec, tmp_path, capfd):
    out = tmp_path / "out"
    words = ["tokenize", recordings, "--out", out, "--model", tiny_folder, "--jobs", "1"]
    words += ["--format", "webdataset", "--format", "jsonl"]
    status, text, err = run(capfd, *words, "--json")
    assert (status, err) == (0, "")
    summary = json.loads(text)
    assert (summary["recordings"], summary["errors"]) == (3, 0)
    assert summary["hours"] == pytest.approx(1.5 / 3600, abs=1e-6)
    codes = {record.id: record.codes for record in read_corpus(out)}
    assert codes == {str(at): tiny_codec.encode(recordings / f"{at}.flac") for at in range(3)}
    assert run(capfd, "tokenize", "--verify", out) == (
        0, f"{out}: every file is as it was written\n", "",
    )  # fmt: skip
    with (out / "jsonl" / "00000.jsonl").open("a") as file:
        file.write("x")
    status, text, err = run(capfd, "tokenize", "--verify", out)
    assert (status, text) == (2, "") and "jsonl/00000.jsonl has changed" in err


def test_broken_recordings_are_told_of(recordings, tiny_folder, tmp_path, capfd):
    (recordings / "broken.wav").write_text("no sound")
    words = ["tokenize", recordings, "-o", tmp_path / "out", "--model", tiny_folder]
    words += ["--format", "jsonl"]
    status, text, err = run(capfd, *words)
    assert status == 1
    assert "3 recordings encoded" in text and "1 errors" in text
    assert err.count("\n") == 1 and "broken.wav is not readable audio" in err
    status, _, err = run(capfd, *words, "--max-errors", "0", "--retry-errors")
    assert status == 2 and "more than the 0 allowed" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x"], "no SOURCE or no --output"),
        (["missing", "-o", "out"], "missing does not exist"),
        (["--verify", "nothing"], "dataset.json is missing"),
    ],
)
def test_commands_that_cannot_be_run(tmp_path, monkeypatch, capfd, words, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capfd, "tokenize", *words)
    assert status == 2 and message in err and err.count("\n") == 1

"""`semanticodec evaluate pairs`: what other people's measuring programs are given."""

import json

import numpy as np
import pytest
import soundfile

from evaluation_fakes import open_faulty, write_clip
from semanticodec.cli import main
from semanticodec.evaluation import systems


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "my suite"
    for seed, name in enumerate(("music/1", "speech/a b", "speech/refused")):
        write_clip(folder / f"{name}.wav", seed=seed)
    rows = "path\ttranscript\nspeech/a b.wav\thello   there\n"
    (folder / "transcripts.tsv").write_text(rows)
    return folder


def run(capfd, *words):
    capfd.readouterr()
    status = main(["evaluate", "pairs", *map(str, words)])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


def listed(folder):
    lines = (folder / "wav.scp").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_pairs_have_one_id_length_and_rate(suite, tmp_path, capfd):
    out = tmp_path / "out"
    words = ("--suite", suite, "--system", "ground-truth", f"folder:path={suite},name=copy")
    status, printed, errors = run(capfd, *words, "-o", out)
    assert (status, errors) == (0, "")
    assert "3 clips" in printed
    ids = ["music_1", "speech_a_b", "speech_refused"]
    sides = [listed(out / name) for name in ("reference", "ground-truth", "copy")]
    assert [list(side) for side in sides] == 3 * [ids]
    for name in ids:
        reference, *others = (soundfile.read(side[name]) for side in sides)
        assert reference[1] == 16_000
        assert all(np.array_equal(other[0], reference[0]) for other in others)
    assert (out / "reference" / "text").read_text() == "speech_a_b hello there\n"


def test_a_second_run_resumes_and_failures_are_named(suite, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(systems, "open_system", open_faulty)
    log, out = tmp_path / "log", tmp_path / "out"
    monkeypatch.setenv("FAULTY_LOG", str(log))
    words = ("--suite", suite, "--system", "faulty", "ground-truth", "-o", out, "--json")
    for calls in (3, 4):  # the second run tries the failed one only
        status, printed, errors = run(capfd, *words)
        assert status == 1
        assert errors == ("semanticodec: faulty, speech/refused: this clip is not to its taste\n")
        assert json.loads(printed)["num_clips"] == {
            "reference": 3,
            "faulty": 2,
            "ground-truth": 3,
        }
        assert len(log.read_text().splitlines()) == calls
        (out / "ground-truth" / "music_1.wav").unlink()
    assert list(listed(out / "faulty")) == ["music_1", "speech_a_b"]


def test_names_that_clash_are_refused(suite, tmp_path, capfd):
    write_clip(suite / "speech/a_b.wav")
    words = ("--suite", suite, "-o", tmp_path / "out", "--system", "ground-truth")
    status, _, errors = run(capfd, *words)
    assert status == 2 and "would both be called speech_a_b; rename one" in errors
    (suite / "speech/a_b.wav").unlink()
    status, _, errors = run(capfd, *words[:-1], "ground-truth:name=reference")
    assert status == 2 and "share a folder; give each a name of its own" in errors

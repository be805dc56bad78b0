"""Commands on a disk that is really full: the old files stay, and a line says what is wrong."""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.cli import main
from semanticodec.corpus import read_corpus
from semanticodec.corpus.journal import CorpusJournal, ShardDone
from semanticodec.errors import OutputError
from semanticodec.training.state import Snapshot, load_snapshot, save_snapshot

FULL = "cannot be written: no space is left on the device; free some, or choose another place"
FILLER = "filler"


@pytest.fixture(scope="module")
def mount(tmp_path_factory):
    """A file system of 4 MB in memory."""
    folder = tmp_path_factory.mktemp("disk")
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing may be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # tensors may still be mapped from it


@pytest.fixture
def disk(mount):
    """A folder on it; what the test leaves is removed."""
    yield mount
    subprocess.run(["find", mount, "-mindepth", "1", "-delete"], check=True)


@contextmanager
def full(disk: Path, pages: int = 0):
    """Leave so much of the disk free that it takes that many pages."""
    with (disk / FILLER).open("wb") as file:
        state = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, (state.f_bavail - pages) * state.f_frsize)
    yield
    (disk / FILLER).unlink()


def files(disk):
    return {
        str(path.relative_to(disk)): path.read_bytes()
        for path in disk.rglob("*")
        if path.is_file() and path.name != FILLER
    }


def run(capfd, *words):
    capfd.readouterr()
    status = main([str(word) for word in words])
    return status, capfd.readouterr().err


@pytest.fixture(scope="module")
def model(quick_codec, tmp_path_factory):
    return quick_codec.save_pretrained(tmp_path_factory.mktemp("quick"))


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "in" / "a.wav"
    path.parent.mkdir()
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(5000), 16_000)
    return path


def test_encode_and_decode_leave_the_old_file(disk, model, wav, tmp_path, capfd):
    codes = tmp_path / "a.smtc"
    how = ("--model", model, "--threads", "1", "-q")
    assert run(capfd, "encode", wav, "-o", codes, *how) == (0, "")
    for command, source, name, pages in (
        ("encode", wav, "a.smtc", 0),
        ("decode", codes, "a.wav", 1),
    ):
        kept = disk / name
        kept.write_bytes(b"old")
        with full(disk, pages):
            status, err = run(capfd, command, source, "-o", kept, "--overwrite", *how)
        assert status == 2
        assert err.count("\n") == 1 and f"{kept} {FULL}" in err
        assert files(disk) == {name: b"old"}
        kept.unlink()


@pytest.mark.parametrize("pages", [3, pytest.param(0, marks=pytest.mark.slow)])
def test_tokenize_goes_on_when_there_is_space_again(disk, model, wav, capfd, pages):
    words = ("tokenize", wav.parent, "-o", disk / "out", "--model", model, "--format", "jsonl")
    with full(disk, pages):
        status, err = run(capfd, *words, "--jobs", "1", "-q")
        assert status == 2
        assert err.count("\n") == 1 and str(disk / "out") in err and "no space is left" in err
    assert not [name for name in files(disk) if name.endswith(".partial")]
    status, err = run(capfd, *words, "--jobs", "1", "-q")
    assert (status, err) == (0, "")
    assert [record.id for record in read_corpus(disk / "out")] == ["a"]
    assert main(["tokenize", "--verify", str(disk / "out")]) == 0


def test_a_line_that_did_not_fit_is_not_in_the_journal(disk):
    first, second = (
        ShardDone(shard=name, ids=["x" * 3000], num_samples=1, files={"a": "0"}) for name in "12"
    )
    journal = CorpusJournal(disk)
    journal.append(first)
    with full(disk), pytest.raises(OutputError, match=rf"shards\.jsonl {FULL}"):
        journal.append(second)
    journal = CorpusJournal(disk)
    assert [line["shard"] for line in journal.shards()] == ["1"]
    journal.append(second)
    assert [line["shard"] for line in journal.shards()] == ["1", "2"]


@pytest.mark.parametrize("pages", [0, 70, 130, 131])
def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(disk, pages):
    def snapshot(step):
        tensors = {"a": torch.full((1 << 16,), float(step))}  # 64 pages
        return Snapshot(
            step=step, weights=tensors, averages=tensors, optimizer={}, description={"seed": 0}
        )

    save_snapshot(disk, snapshot(1))
    before = files(disk)
    with full(disk, pages):
        expected = "The checkpoint of step 2 cannot be written to .* Free some space"
        with pytest.raises(OutputError, match=expected):
            save_snapshot(disk, snapshot(2))
    assert files(disk) == before
    loaded = load_snapshot(disk)
    assert loaded is not None and loaded.step == 1 and loaded.weights["a"][0] == 1

"""No clip is embedded twice, what changed is embedded again, and what fails is named."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from probe_tasks import write_pitches
from semanticodec.evaluation.semantics.embedding_cache import embed_task
from semanticodec.evaluation.semantics.features import Embedder, Features
from semanticodec.evaluation.semantics.tasks import Task, open_task


class Counted(Embedder):
    """Gives the mean level of a clip and its length; counts, and stops when told to."""

    def __init__(self, *keys: str, fingerprint: str = "x", stop_at: int | None = None) -> None:
        self.features = tuple(Features(name=f"c:{key}", key=key, details={}) for key in keys)
        self.fingerprint = fingerprint
        self.stop_at = stop_at
        self.count = 0

    def embed(self, wav: Tensor) -> list[Tensor]:
        self.count += 1
        if self.count == self.stop_at:
            raise KeyboardInterrupt
        return [torch.stack([wav.abs().mean(), torch.tensor(float(len(wav)))])] * len(self.features)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return open_task(write_pitches(tmp_path / "pitches", num_folds=3, per_class=2))


def test_a_second_run_takes_everything_from_disk(task: Task, tmp_path: Path) -> None:
    first, second = Counted("a", "b"), Counted("a", "b")
    made = embed_task(task, first, tmp_path / "cache")
    kept = embed_task(task, second, tmp_path / "cache")
    assert (first.count, second.count) == (24, 0)
    assert made.clips == kept.clips == task.clips
    assert list(kept.vectors) == ["c:a", "c:b"]
    assert torch.equal(made.vectors["c:a"], kept.vectors["c:a"])
    assert kept.vectors["c:a"].shape == (24, 2)
    # Rows stand in the order of the clips.
    fresh = embed_task(task, Counted("a"), tmp_path / "elsewhere").vectors["c:a"]
    assert torch.equal(fresh, kept.vectors["c:a"])


def test_a_stopped_run_goes_on(task: Task, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed_task(task, Counted("a", stop_at=13), tmp_path)
    rest = Counted("a")
    embed_task(task, rest, tmp_path)
    assert rest.count == 24 - 12


def test_other_weights_or_sounds_are_embedded_again(task: Task, tmp_path: Path) -> None:
    embed_task(task, Counted("a"), tmp_path)
    other = Counted("a", fingerprint="y")
    embed_task(task, other, tmp_path)
    assert other.count == 24
    os.utime(task.clips[0].path, (1, 1))
    touched = Counted("a")
    embed_task(task, touched, tmp_path)
    assert touched.count == 1
    more = Counted("a", "b")
    embed_task(task, more, tmp_path)
    assert more.count == 24


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01", b"rubbish" * 99])
def test_damaged_files_are_written_again(task: Task, tmp_path: Path, content: bytes) -> None:
    whole = embed_task(task, Counted("a"), tmp_path)
    damaged = next((tmp_path / "pitches").glob("*.npy"))
    damaged.write_bytes(content)
    again = Counted("a")
    repaired = embed_task(task, again, tmp_path)
    assert again.count == 1
    assert torch.equal(repaired.vectors["c:a"], whole.vectors["c:a"])


def test_a_clip_that_fails_is_named_and_tried_again(task: Task, tmp_path: Path) -> None:
    broken = task.clips[7]
    sound = broken.path.read_bytes()
    broken.path.write_bytes(b"no sound")
    embedded = embed_task(task, Counted("a"), tmp_path)
    assert list(embedded.failures) == [broken.name]
    assert "not readable audio" in embedded.failures[broken.name]
    assert broken not in embedded.clips and len(embedded.clips) == 23
    assert embedded.vectors["c:a"].shape == (23, 2)
    broken.path.write_bytes(sound)
    repaired = Counted("a")
    assert not embed_task(task, repaired, tmp_path).failures
    assert repaired.count == 1


def test_vectors_that_are_not_finite_are_failures(task: Task, tmp_path: Path) -> None:
    class Broken(Counted):
        def embed(self, wav: Tensor) -> list[Tensor]:
            return [torch.tensor([float("nan")])]

    embedded = embed_task(task, Broken("a"), tmp_path)
    assert set(embedded.failures.values()) == {"its features are NaN or infinite"}
    assert embedded.vectors == {} and embedded.clips == ()

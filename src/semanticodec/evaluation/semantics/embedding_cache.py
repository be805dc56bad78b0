"""The vectors of whole tasks, kept on disk so that no clip is embedded twice.

FOLDER/{task}/{key}.npy     one chunk of clips, one kind of features; never pickled
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from semanticodec import __version__
from semanticodec.audio.io import load_audio
from semanticodec.errors import AudioError
from semanticodec.evaluation.semantics.features import Embedder
from semanticodec.evaluation.semantics.tasks import LabelledClip, Task
from semanticodec.files import atomic_path, json_digest

CHUNK = 64  # clips per file: what a stopped run loses

# One array [clips, width] for each of an embedder's features; none if every clip failed.
Vectors = list[Float[np.ndarray, "N D"]]


@dataclass(frozen=True, kw_only=True)
class TaskEmbeddings:
    """The vectors of a task's clips.

    Attributes:
        clips: those that have vectors, in the task's order.
        vectors: for each feature's name one row per clip; empty where every clip failed.
        failures: the other clips by name, and why.
    """

    clips: tuple[LabelledClip, ...]
    vectors: dict[str, Float[Tensor, "N D"]]
    failures: dict[str, str]


def embed_task(
    task: Task, embedder: Embedder, folder: Path, *, show_progress: bool = False
) -> TaskEmbeddings:
    """Return the vectors of a task, those that `folder` has from there.

    Args:
        task: its clips.
        embedder: gives the vectors.
        folder: of the cache; a chunk in which a clip failed is not kept, and tried again.
        show_progress: whether to draw a bar.
    """
    names = [features.name for features in embedder.features]
    chunks: list[Vectors] = []
    failures: dict[str, str] = {}
    label = f"{task.name}: {', '.join(names)}"
    with tqdm(total=len(task.clips), desc=label, unit="clip", disable=not show_progress) as bar:
        for start in range(0, len(task.clips), CHUNK):
            clips = task.clips[start : start + CHUNK]
            paths = _chunk_paths(folder / task.name, clips, embedder)
            vectors = _read_chunk(paths, len(clips))
            if vectors is None:
                vectors, errors = _embed_chunk(clips, embedder, bar)
                failures |= errors
                if not errors:
                    _write_chunk(paths, vectors)
            else:
                bar.update(len(clips))
            if vectors:
                chunks.append(vectors)
    joined = [torch.from_numpy(np.concatenate(column)) for column in zip(*chunks)]
    return TaskEmbeddings(
        clips=tuple(clip for clip in task.clips if clip.name not in failures),
        vectors=dict(zip(names, joined)),
        failures=failures,
    )


def _embed_chunk(
    clips: Sequence[LabelledClip], embedder: Embedder, bar: tqdm
) -> tuple[Vectors, dict[str, str]]:
    rows, errors = [], {}
    for clip in clips:
        try:
            rows.append(_embed_clip(clip, embedder))
        except (RuntimeError, ValueError, OSError) as error:
            # One clip that cannot be read or embedded must not end a run of hours.
            errors[clip.name] = str(error) or type(error).__name__
        bar.update()
    return [np.stack(column) for column in zip(*rows)], errors


def _embed_clip(clip: LabelledClip, embedder: Embedder) -> list[np.ndarray]:
    with torch.inference_mode():
        vectors = [vector.float().cpu().numpy() for vector in embedder.embed(load_audio(clip.path))]
    if not all(np.isfinite(vector).all() for vector in vectors):
        raise AudioError("its features are NaN or infinite")
    return vectors


def _chunk_paths(folder: Path, clips: Sequence[LabelledClip], embedder: Embedder) -> list[Path]:
    """Return a file for each feature, named by everything that its content depends on."""
    stats = [(clip.name, clip.path.stat()) for clip in clips]
    content = [
        __version__,
        embedder.fingerprint,
        [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
    ]
    keys = [json_digest([*content, features.key]) for features in embedder.features]
    return [folder / f"{key[:24]}.npy" for key in keys]


def _read_chunk(paths: Sequence[Path], num_clips: int) -> Vectors | None:
    """Return what the files hold; None if one is missing or damaged."""
    vectors = []
    for path in paths:
        try:
            vectors.append(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError):
            return None
        if vectors[-1].ndim != 2 or len(vectors[-1]) != num_clips:
            return None
    return vectors


def _write_chunk(paths: Sequence[Path], vectors: Vectors) -> None:
    for path, array in zip(paths, vectors):
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.save(file, array, allow_pickle=False)

"""The vectors of whole tasks, kept on disk so that no clip is embedded twice.

FOLDER/{task}/{key}.npy     one clip, one kind of features; never pickled
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec import __version__
from semanticodec.audio.io import load_audio
from semanticodec.errors import AudioError
from semanticodec.evaluation.semantics.features import Embedder
from semanticodec.evaluation.semantics.tasks import LabeledClip, Task
from semanticodec.files import atomic_path, json_digest
from semanticodec.progress import ProgressBar

Vectors = list[Float[np.ndarray, " D"]]  # of one clip, one for each of an embedder's features


@dataclass(frozen=True, kw_only=True)
class TaskEmbeddings:
    """The vectors of a task's clips.

    Attributes:
        clips: those that have vectors, in the task's order.
        vectors: one row per clip, by the feature's name; empty where every clip failed.
        failures: the other clips by name, and why.
    """

    clips: tuple[LabeledClip, ...]
    vectors: dict[str, Float[Tensor, "N D"]]
    failures: dict[str, str]


def embed_task(
    task: Task, embedder: Embedder, folder: Path, *, show_progress: bool = False
) -> TaskEmbeddings:
    """Return the vectors of a task, those that `folder` has from there.

    Args:
        task: its clips.
        embedder: gives the vectors.
        folder: folder of the cache.
        show_progress: whether to draw a bar.
    """
    names = [features.name for features in embedder.features]
    found: dict[LabeledClip, Vectors] = {}
    failures: dict[str, str] = {}
    label = f"{task.name}: {', '.join(names)}"
    for clip in ProgressBar(task.clips, label=label, unit="clip", shown=show_progress):
        try:
            paths = _paths(folder / task.name, clip, embedder)
            found[clip] = _read(paths) or _embed(clip, embedder, paths)
        except (RuntimeError, ValueError, OSError) as error:
            # One clip that cannot be read or embedded must not end a run of hours.
            failures[clip.name] = str(error) or type(error).__name__
    columns = [torch.from_numpy(np.stack(column)) for column in zip(*found.values())]
    return TaskEmbeddings(clips=tuple(found), vectors=dict(zip(names, columns)), failures=failures)


def _paths(folder: Path, clip: LabeledClip, embedder: Embedder) -> list[Path]:
    """Return a file for each feature, named by everything that its content depends on."""
    stat = clip.path.stat()
    content = [__version__, embedder.fingerprint, clip.name, stat.st_size, stat.st_mtime_ns]
    keys = [json_digest([*content, features.key]) for features in embedder.features]
    return [folder / f"{key[:24]}.npy" for key in keys]


def _read(paths: Sequence[Path]) -> Vectors | None:
    """Return what the files hold; None if one is missing or damaged."""
    try:
        vectors = [np.load(path, allow_pickle=False) for path in paths]
    except (OSError, ValueError, EOFError):
        return None
    return vectors if all(vector.ndim == 1 for vector in vectors) else None


def _embed(clip: LabeledClip, embedder: Embedder, paths: Sequence[Path]) -> Vectors:
    with torch.inference_mode():
        vectors = [vector.float().cpu().numpy() for vector in embedder.embed(load_audio(clip.path))]
    if not all(np.isfinite(vector).all() for vector in vectors):
        raise AudioError("its features are NaN or infinite")
    for path, vector in zip(paths, vectors):
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.save(file, vector, allow_pickle=False)
    return vectors

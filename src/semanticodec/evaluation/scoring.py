"""What one worker process does: reconstruct a clip with a system and score it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from semanticodec.audio.io import load_audio, save_audio
from semanticodec.errors import AudioError, DataError, SemantiCodecError
from semanticodec.evaluation.journal import Row
from semanticodec.evaluation.metrics import Metrics
from semanticodec.evaluation.suites import Clip
from semanticodec.evaluation.systems import System

OpenSystem = Callable[[str], System]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A system and a clip.

    Attributes:
        system: the system's name.
        spec: specification that opens it.
        clip: clip that it reconstructs.
    """

    system: str
    spec: str
    clip: Clip

    @property
    def failed_row(self) -> Row:
        """The row of this pair without its measures."""
        return {"system": self.system, "clip": self.clip.name, "domain": self.clip.domain}


class Scorer:
    """Holds the metrics and the one system that is being measured; the last one makes room.

    Args:
        open_metrics: called once.
        open_system: called with a task's spec whenever the system changes.
        audio_folder: folder for the reconstructions; None keeps none.
    """

    def __init__(
        self,
        open_metrics: Callable[[], Metrics],
        open_system: OpenSystem,
        audio_folder: Path | None = None,
    ) -> None:
        self._metrics = open_metrics()
        self._open_system = open_system
        self._audio_folder = audio_folder
        self._spec: str | None = None
        self._system: System | Exception | None = None

    def __call__(self, task: Task) -> Row:
        """Return the row of a task: measures, or `error` whatever went wrong."""
        try:
            return {**task.failed_row, **self._measure(task)}
        except SemantiCodecError as error:
            return {**task.failed_row, "error": one_line(error)}
        except Exception as error:
            # A bug of one codec or measure must not end the run; its traceback helps to find it.
            return {
                **task.failed_row,
                "error": f"{type(error).__name__}: {one_line(error)}",
                "traceback": traceback.format_exc(),
            }

    def _measure(self, task: Task) -> dict[str, Any]:
        reference = read_clip(task.clip)
        made = self._opened(task.spec).reconstruct(reference, task.clip)
        if self._audio_folder is not None:
            path = audio_path(self._audio_folder, task)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_audio(path, torch.from_numpy(made.wav))
        scores = self._metrics.score(reference, made.wav, task.clip)
        return {
            "num_samples": len(reference),
            "num_bits": made.num_bits,
            "scores": scores.values,
            "warnings": [*made.warnings, *scores.problems],
        }

    def _opened(self, spec: str) -> System:
        if spec != self._spec:
            self._system = None  # before the next one is loaded: two may not fit
            try:
                self._system = self._open_system(spec)
            except Exception as error:
                self._system = error
            self._spec = spec
        if isinstance(self._system, Exception):
            raise self._system
        assert self._system is not None
        return self._system


def read_clip(clip: Clip) -> Float[np.ndarray, " S"]:
    """Return a clip's samples, float32 at 16 kHz, one channel.

    Raises:
        DataError: it cannot be read, or holds nothing. The text names no folders: reports are
            published.
    """
    try:
        wav = load_audio(clip.path.read_bytes()).numpy()
    except (AudioError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"the clip {clip.path.name} cannot be read: {reason}") from error
    if not len(wav):
        raise DataError(f"the clip {clip.path.name} holds no samples")
    return wav


def file_name(system: str) -> str:
    """Return a system's name as a folder may be called."""
    return re.sub(r"[^\w.@=,+-]+", "_", system)


def audio_path(folder: Path, task: Task) -> Path:
    """Return where a reconstruction is kept: FOLDER/SYSTEM is then a folder to evaluate."""
    return folder / file_name(task.system) / f"{task.clip.name}.flac"


def one_line(error: Exception) -> str:
    """Return an error's text without line breaks."""
    return " ".join(str(error).split()) or "no message"

"""Shows a run: progress bar, scalars as JSON lines; these, spectrograms, sounds in TensorBoard."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.files import write_text
from semanticodec.progress import ProgressBar
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# A dark-to-light ramp: black, violet, red, orange, pale yellow (RGB in 0..1).
RAMP = ((0.0, 0.0, 0.0), (0.3, 0.05, 0.45), (0.75, 0.2, 0.3), (0.98, 0.6, 0.2), (1.0, 1.0, 0.8))
SMOOTHING = 0.98

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A spectrogram to look at, a waveform to listen to, or both.

    Attributes:
        spectrogram: frames by bins in any scale; None when there is none.
        wav: 16 kHz waveform in [-1, 1]; None when there is none.
    """

    spectrogram: Float[Tensor, "T M"] | None = None
    wav: Float[Tensor, " S"] | None = None


def colored(spectrogram: Float[Tensor, "T M"]) -> Float[Tensor, "3 M T"]:
    """Return an RGB image, time to the right, low frequencies at the bottom."""
    values = spectrogram.detach().float().cpu().numpy().T[::-1]  # T M -> M T, bin 0 last
    finite = np.nan_to_num(values)
    low, high = float(finite.min()), float(finite.max())
    scaled = (finite - low) / max(high - low, 1e-8)
    knots = np.linspace(0.0, 1.0, len(RAMP))
    channels = [np.interp(scaled, knots, [stop[channel] for stop in RAMP]) for channel in range(3)]
    return torch.from_numpy(np.stack(channels)).float()


def _drop_lines_after(path: Path, last_step: int) -> None:
    """Remove what a stopped run recorded after its last checkpoint (it is done again)."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= last_step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            # Half a line, cut off when the process was killed.
            continue
    write_text(path, "".join(kept))


class Monitor:
    """Writes scalars and samples of one run; only the main process has one.

    Args:
        folder: the run folder; `scalars.jsonl` and `tensorboard/` are added to.
        first_step: steps already done; total_steps: steps to do in all.
        show_progress: whether to draw the progress bar on stderr.
    """

    def __init__(self, folder: Path, *, first_step: int, total_steps: int, show_progress: bool):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._scalars = folder / "scalars.jsonl"
        _drop_lines_after(self._scalars, first_step)
        self._writer: SummaryWriter | None = None
        self._has_tensorboard = True
        self._first_step = first_step
        self._bar = ProgressBar(
            total=total_steps, done=first_step, unit="step", shown=show_progress
        )
        self._smooth: dict[str, float] = {}
        self._started = time.monotonic()

    def _tensorboard(self) -> "SummaryWriter | None":
        """Return the writer of curves; None where the package is missing."""
        if self._writer is None and self._has_tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                self._has_tensorboard = False
                logger.warning(
                    "Curves and samples are not drawn without tensorboard; install "
                    "semanticodec[train]. The numbers are in %s.",
                    self._scalars,
                )
                return None
            # Steps after the resume point belong to a part of the run that was lost.
            self._writer = SummaryWriter(
                str(self._folder / "tensorboard"), purge_step=self._first_step
            )
        return self._writer

    def advance(self, losses: Mapping[str, float]) -> None:
        """Count one step and show the smoothed losses."""
        for name, value in losses.items():
            if np.isfinite(value):
                previous = self._smooth.get(name, value)
                self._smooth[name] = SMOOTHING * previous + (1 - SMOOTHING) * value
        self._bar.show(note=", ".join(f"{k} {v:.4g}" for k, v in self._smooth.items()))
        self._bar.update(1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record values at a step."""
        seconds = round(time.monotonic() - self._started, 2)
        line = json.dumps({"step": step, "seconds": seconds, **values})
        with open(self._scalars, "a", encoding="utf-8") as lines:
            lines.write(line + "\n")
        writer = self._tensorboard()
        if writer is not None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)

    def samples(self, step: int, samples: Mapping[str, Sample]) -> None:
        """Record spectrograms and sounds at a step."""
        writer = self._tensorboard()
        if writer is None:
            return
        for name, sample in samples.items():
            if sample.spectrogram is not None:
                writer.add_image(name, colored(sample.spectrogram), step)
            if sample.wav is not None:
                wav = sample.wav.detach().float().cpu().clamp(-1, 1)
                writer.add_audio(name, wav.unsqueeze(0), step, sample_rate=SAMPLE_RATE)

    def close(self) -> None:
        """Flush and close everything."""
        self._bar.close()
        if self._writer is not None:
            self._writer.close()


class Recent:
    """Means of the finite values since the last record."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._steps = 0
        self._started = time.monotonic()

    def add(self, values: Mapping[str, float]) -> None:
        """Take in the values of one step."""
        self._steps += 1
        for name, value in values.items():
            if np.isfinite(value):
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Return the mean of every value that was finite at least once."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}

    def steps_per_second(self) -> float:
        """Return the speed since the last record."""
        return self._steps / max(time.monotonic() - self._started, 1e-9)

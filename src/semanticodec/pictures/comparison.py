"""The picture of several versions of one sound: their spectrograms, one below the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float

from semanticodec.pictures.figure import require_matplotlib, write_picture
from semanticodec.pictures.spectrogram import (
    MAX_SAMPLES,
    draw_spectrogram,
    mel_spectrogram_db,
)
from semanticodec.token_format import SAMPLE_RATE


def draw_comparison(
    target: Path | BinaryIO, wavs: Mapping[str, Float[np.ndarray, " S"]], kind: str = "png"
) -> None:
    """Write the spectrograms on one scale; at most the first 30 s are drawn.

    Args:
        target: file to write, whatever its suffix.
        wavs: waveforms at 16 kHz by what they are called; the first one sets the scale.
        kind: format of the picture, png or webp.
    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    levels = {name: mel_spectrogram_db(wav) for name, wav in wavs.items()}
    first = next(iter(levels))
    loudest = levels[first].max()
    figure = Figure(figsize=(10.0, 2.0 * len(levels) + 0.5), layout="constrained")
    panels: Any = np.atleast_1d(figure.subplots(len(levels), 1, sharex=True))
    images = [
        draw_spectrogram(panel, level - loudest, name)
        for panel, (name, level) in zip(panels, levels.items())
    ]
    label = f"dB, 0 is the loudest of {first!r}"
    figure.colorbar(images[0], ax=list(panels), label=label, pad=0.01)
    panels[0].set_xlim(0, min(max(map(len, wavs.values())), MAX_SAMPLES) / SAMPLE_RATE)
    panels[-1].set_xlabel("Time (s)")
    write_picture(figure, target, kind, dpi=90)

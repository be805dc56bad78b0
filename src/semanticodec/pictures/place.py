"""The picture of one place in a sound: its spectrogram with a frame around a time and a band."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float

from semanticodec.pictures.figure import require_matplotlib, write_picture
from semanticodec.pictures.spectrogram import draw_spectrogram, hz_to_mel, mel_spectrogram_db


def draw_place(
    target: Path | BinaryIO,
    wav: Float[np.ndarray, " S"],
    times_s: tuple[float, float],
    band_hz: tuple[float, float],
) -> None:
    """Write the picture as WebP.

    Args:
        target: file to write, whatever its suffix.
        wav: waveform at 16 kHz.
        times_s: start and end of the place, in seconds.
        band_hz: its lowest and its highest frequency.
    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(6.0, 2.4), layout="constrained")
    panel = figure.subplots()
    levels = mel_spectrogram_db(wav)
    draw_spectrogram(panel, levels - levels.max(), "")
    low, high = (float(hz_to_mel(frequency)) for frequency in band_hz)
    corner, width = (times_s[0], low), times_s[1] - times_s[0]
    panel.add_patch(
        Rectangle(corner, width, high - low, fill=False, edgecolor="white", linewidth=2)
    )
    panel.set_xlabel("Time (s)")
    write_picture(figure, target, "webp", dpi=90)

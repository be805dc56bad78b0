"""Spectrograms for the eye: rows evenly spaced in mel, columns every 10 ms, levels in dB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_SAMPLES = 30 * SAMPLE_RATE  # more would be too fine to see
FFT_SIZE = 1024
HOP_LENGTH = 160
NUM_ROWS = 256
RANGE_DB = 80.0
TICKS_HZ = (0, 250, 500, 1000, 2000, 4000, 8000)


def hz_to_mel(frequency: np.ndarray | float) -> np.ndarray:
    """Return the place of a frequency in Hz on the mel scale."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency) / 700.0)


def mel_spectrogram_db(wav: Float[np.ndarray, " S"]) -> Float[np.ndarray, "rows T"]:
    """Return levels in dB, rows evenly spaced in mel from 0 to 8 kHz.

    Args:
        wav: waveform at 16 kHz, at most `MAX_SAMPLES` of it are used.
    Returns:
        One column every 10 ms.
    """
    padded = np.pad(wav[:MAX_SAMPLES], (FFT_SIZE // 2, FFT_SIZE // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP_LENGTH]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT_SIZE), axis=1)) ** 2  # T bins
    mels = np.linspace(0.0, float(hz_to_mel(SAMPLE_RATE / 2)), NUM_ROWS)
    frequencies = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = np.minimum(np.round(frequencies * FFT_SIZE / SAMPLE_RATE).astype(int), FFT_SIZE // 2)
    return 10.0 * np.log10(power[:, bins].T + 1e-10)  # T bins -> rows T


def draw_spectrogram(panel: Axes, levels: Float[np.ndarray, "rows T"], title: str) -> Any:
    """Draw levels of -`RANGE_DB` to 0 dB and return the image, for a color bar.

    Args:
        panel: where to draw.
        levels: result of `mel_spectrogram_db`, less the level that is to be 0.
        title: text above the panel.
    """
    top = float(hz_to_mel(SAMPLE_RATE / 2))
    image = panel.imshow(
        levels,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, levels.shape[1] * HOP_LENGTH / SAMPLE_RATE, 0, top),
        vmin=-RANGE_DB,
        vmax=0,
        cmap="inferno",
    )
    panel.set_yticks(
        [float(hz_to_mel(tick)) for tick in TICKS_HZ], [str(tick) for tick in TICKS_HZ]
    )
    panel.set_ylabel("Frequency (Hz)")
    panel.set_title(title, loc="left")
    return image

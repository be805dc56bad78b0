"""The picture of a round trip: original, semantic and acoustic codes, reconstruction.

+--------------------------------+
| spectrogram of the original    |  Hz over seconds
+--------------------------------+
| semantic codes                 |  one cell per position: bands over seconds,
| acoustic codes                 |  equal codes in equal colors
+--------------------------------+
| spectrogram of the decoded wav |
+--------------------------------+
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from jaxtyping import Float, Integer

from semanticodec.errors import MissingDependencyError
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from semanticodec import Codes

MAX_SAMPLES = 30 * SAMPLE_RATE  # more would be too fine to see
FFT_SIZE = 1024
HOP_LENGTH = 160
NUM_ROWS = 256
RANGE_DB = 80.0
TICKS_HZ = (0, 250, 500, 1000, 2000, 4000, 8000)
SEMANTIC_COLORS, ACOUSTIC_COLORS = "viridis", "magma"
# Multiplying by an odd number near 2**16 / golden ratio and keeping 16 bits sends neighboring
# codes, which have nothing in common, to distant colors.
SCATTER, SCATTER_RANGE = 40_503, 1 << 16


class PlottedPart:
    """Blocks of samples that pass through; the first ones, which a picture shows, are kept.

    Args:
        blocks: consecutive blocks [..., S] of one recording.
    """

    def __init__(self, blocks: Iterator[Tensor]) -> None:
        self._blocks = blocks
        self._kept: list[np.ndarray] = []

    def __iter__(self) -> Iterator[Tensor]:
        room = MAX_SAMPLES
        for block in self._blocks:
            if room > 0:
                self._kept.append(block[..., :room].detach().cpu().numpy().reshape(-1))
                room -= block.shape[-1]
            yield block

    def samples(self) -> Float[np.ndarray, " S"]:
        """Return the kept samples."""
        return np.concatenate(self._kept)


def draw_file(
    path: Path, file: BinaryIO, codes: Codes, reconstruction: Float[np.ndarray, " S"], name: str
) -> None:
    """Write the picture of the round trip of a sound file, see `draw_roundtrip`.

    Args:
        path: file to write.
        file: the original, open for reading.
        codes: codes of one recording, made from `file`.
        reconstruction: waveform decoded from `codes`.
        name: path of the original.
    """
    from semanticodec.audio.io import read_blocks

    file.seek(0)
    blocks, room = [], MAX_SAMPLES
    for block in read_blocks(file):
        blocks.append(block[:room])
        room -= len(block)
        if room <= 0:
            break
    draw_roundtrip(path, np.concatenate(blocks), codes, reconstruction, Path(name).name)


def draw_roundtrip(
    path: Path,
    original: Float[np.ndarray, " S"],
    codes: Codes,
    reconstruction: Float[np.ndarray, " S"],
    title: str,
) -> None:
    """Write the picture of one round trip as PNG; at most the first 30 s are drawn.

    Args:
        path: file to write, whatever its suffix.
        original: waveform at 16 kHz.
        codes: codes of one recording, made from `original`.
        reconstruction: waveform decoded from `codes`.
        title: name of what was coded, such as a file name.
    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    seconds = min(len(original), len(reconstruction), MAX_SAMPLES) / SAMPLE_RATE
    figure = Figure(figsize=(min(16.0, 7.0 + seconds * 0.5), 9.5), layout="constrained")
    panels: Any = figure.subplots(4, 1, sharex=True, height_ratios=[3, 1.3, 1.3, 3])
    figure.suptitle(
        f"{_printable(title)}: {codes.duration_s[0]:.2f} s as {2 * codes.num_positions[0]} "
        f"tokens, {codes.bitrate / 1000:.2f} kbps",
        parse_math=False,  # a file name may hold dollar signs
    )
    levels = mel_spectrogram_db(original)
    loudest = levels.max()
    image = _draw_spectrogram(panels[0], levels - loudest, "Original")
    _draw_codes(panels[1], codes.semantic[0].numpy(), codes, "Semantic", SEMANTIC_COLORS)
    _draw_codes(panels[2], codes.acoustic[0].numpy(), codes, "Acoustic", ACOUSTIC_COLORS)
    decoded_levels = mel_spectrogram_db(reconstruction)
    _draw_spectrogram(panels[3], decoded_levels - loudest, "Reconstruction")
    label = "dB, 0 is the loudest of the original"
    figure.colorbar(image, ax=[panels[0], panels[3]], label=label, pad=0.01)
    panels[0].set_xlim(0, seconds)
    panels[3].set_xlabel("Time (s)")
    with warnings.catch_warnings():
        # An empty rectangle stands for the letter.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(path, format="png", dpi=110)


def require_matplotlib() -> None:
    """Raise MissingDependencyError where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            'drawing needs matplotlib; install it with pip install "semanticodec[plot]"'
        ) from error


def _printable(name: str) -> str:
    r"""Return a file name with bytes that are no letters as `\udcff`."""
    return name.encode(errors="backslashreplace").decode()


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


def _draw_spectrogram(panel: Axes, levels: Float[np.ndarray, "rows T"], title: str) -> Any:
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


def _draw_codes(
    panel: Axes, stream: Integer[np.ndarray, " L"], codes: Codes, name: str, colors: str
) -> None:
    bands = codes.format.positions_per_column
    grid = stream.reshape(-1, bands).T  # L -> bands T; positions are time-major
    seconds = grid.shape[1] * codes.format.samples_per_column / SAMPLE_RATE
    panel.imshow(
        grid.astype(np.int64) * SCATTER % SCATTER_RANGE,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, seconds, 0, bands),
        vmin=0,
        vmax=SCATTER_RANGE,
        cmap=colors,
    )
    panel.set_yticks([0.5, bands - 0.5], ["low", "high"])
    panel.set_ylabel("Band")
    used = len(np.unique(stream))
    panel.set_title(f"{name} codes ({len(stream)} positions, {used} different)", loc="left")

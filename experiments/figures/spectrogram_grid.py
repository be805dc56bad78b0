"""The paper's Figure 5: log-STFT spectrograms of recordings and of what systems make of them.

              original   system 1   system 2
    clip 1      [..]       [..]       [..]          seconds to the right, kHz upwards, one color
    clip 2      [..]       [..]       [..]          scale: dB below the loudest of the original

A single clip takes as many rows as its systems need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from experiments.figures.style import GRAY, new_figure
from semanticodec.audio.io import load_audio
from semanticodec.errors import AudioError, SemantiCodecError
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semanticodec.evaluation.suites import Clip
    from semanticodec.evaluation.systems.base import System

FFT_SIZE = 1024
HOP_LENGTH = 160
MAX_SECONDS = 30.0  # more would be too fine to see
RANGE_DB = 80.0
STEP_DB = 4.0  # as fine as the eye needs; finer steps make the file several times as large
MAX_COLUMNS, MAX_ROWS = 160, 96  # cells of a panel, about one pixel each
MAX_CELLS = 170_000  # of all panels together: noise costs half a byte per cell
MAX_PANELS_PER_ROW = 5
PANEL_WIDTH, PANEL_HEIGHT, SINGLE_HEIGHT = 1.9, 1.85, 2.6  # inches, with titles
ORIGINAL = "Original"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One spectrogram of the grid.

    Attributes:
        title: the system and the kilobits per second that it spent.
        wav: 16 kHz mono; None where the system failed.
        error: why it failed.
    """

    title: str
    wav: Float[np.ndarray, " S"] | None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A clip: the original's panel first, then one for each system."""

    clip: str
    panels: tuple[Panel, ...]


def reconstructed_rows(clips: Sequence[Clip], systems: Sequence[System]) -> Iterator[Row]:
    """Yield a row for each clip, run through every system; one that fails leaves its reason.

    Raises:
        AudioError: a clip that cannot be read, or is empty.
    """
    for clip in clips:
        wav = load_audio(clip.path).numpy()
        if not len(wav):
            raise AudioError(f"{clip.name} holds no samples; leave it out")
        panels = [Panel(title=ORIGINAL, wav=wav)]
        panels += [_reconstructed(wav, clip, system) for system in systems]
        yield Row(clip=clip.name, panels=tuple(panels))


def _reconstructed(wav: Float[np.ndarray, " S"], clip: Clip, system: System) -> Panel:
    try:
        result = system.reconstruct(wav, clip)
    except SemantiCodecError as error:
        return Panel(title=system.name, wav=None, error=str(error))
    if result.num_bits is None:
        return Panel(title=system.name, wav=result.wav)
    kbps = result.num_bits * SAMPLE_RATE / len(wav) / 1000
    return Panel(title=f"{system.name}\n{kbps:.2f} kbps", wav=result.wav)


def draw_spectrogram_grid(rows: Sequence[Row], *, max_seconds: float = MAX_SECONDS) -> Figure:
    """Return the picture.

    Args:
        rows: at least one, all with the same systems.
        max_seconds: how much of the start of each clip is drawn.
    """
    max_samples = round(max_seconds * SAMPLE_RATE)
    rows = [_shortened(row, max_samples) for row in rows]
    lines = _wrapped(rows[0]) if len(rows) == 1 else list(rows)
    num_columns = max(len(line.panels) for line in lines)
    height = PANEL_HEIGHT * len(lines) if len(lines) > 1 else SINGLE_HEIGHT
    figure = new_figure(PANEL_WIDTH * num_columns + 0.9, height)
    grid: Any = figure.subplots(len(lines), num_columns, sharex="row", sharey=True, squeeze=False)
    cells = _num_cells(sum(len(line.panels) for line in lines))
    image = None
    for axes_of_line, line in zip(grid, lines):
        original = rows[0].panels[0] if len(rows) == 1 else line.panels[0]
        assert original.wav is not None
        loudest = float(log_stft(original.wav, *cells).max())
        for axes, panel in zip(axes_of_line, line.panels):
            image = _draw_panel(axes, panel, loudest, cells) or image
        for axes in axes_of_line[len(line.panels) :]:
            axes.set_axis_off()
        axes_of_line[0].set_ylabel(f"{line.clip}\nkHz", fontsize="small")
    for axes in grid[-1]:
        axes.set_xlabel("s", fontsize="small")
    assert image is not None  # the first original was drawn
    bar = figure.colorbar(image, ax=grid, pad=0.01, aspect=20 * len(lines))
    bar.set_label("dB re peak of the original", fontsize="small")
    bar.ax.tick_params(labelsize="small")
    return figure


def _wrapped(row: Row) -> list[Row]:
    """Return the panels of one clip in rows that fit a page."""
    size = MAX_PANELS_PER_ROW
    starts = range(0, len(row.panels), size)
    return [Row(clip=row.clip, panels=row.panels[start : start + size]) for start in starts]


def _shortened(row: Row, max_samples: int) -> Row:
    panels = [
        panel if panel.wav is None else replace(panel, wav=panel.wav[:max_samples])
        for panel in row.panels
    ]
    return replace(row, panels=tuple(panels))


def _num_cells(num_panels: int) -> tuple[int, int]:
    """Return the rows and columns of a panel, fewer where many panels share a picture."""
    shrink = min(1.0, math.sqrt(MAX_CELLS / (MAX_ROWS * MAX_COLUMNS * num_panels)))
    return int(MAX_ROWS * shrink), int(MAX_COLUMNS * shrink)


def log_stft(
    wav: Float[np.ndarray, " S"], num_rows: int, max_columns: int
) -> Float[np.ndarray, "rows columns"]:
    """Return levels in dB over time, rows evenly spaced from 0 Hz to 8 kHz.

    Args:
        wav: waveform at 16 kHz.
        num_rows: frequency cells, at most 513.
        max_columns: time cells, of 10 ms or more.
    Returns:
        Mean power of the STFT's bins and frames that fall into each cell.
    """
    # Mirrored at the ends: a cut, which is the drawing's own, must not look like a click.
    padded = np.pad(wav, FFT_SIZE // 2, mode="symmetric")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP_LENGTH]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT_SIZE), axis=1)) ** 2  # T bins
    num_columns = min(max_columns, len(power))
    pooled = _pooled(_pooled(power, num_columns).T, num_rows)  # T bins -> rows columns
    return 10.0 * np.log10(pooled + 1e-10)


def _pooled(values: Float[np.ndarray, "N M"], num_rows: int) -> Float[np.ndarray, "rows M"]:
    """Return means of neighboring rows, as equal in number as whole rows can be."""
    starts = np.arange(num_rows) * len(values) // num_rows
    sizes = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values, starts, axis=0) / sizes[:, None]


def _draw_panel(axes: Axes, panel: Panel, loudest: float, cells: tuple[int, int]) -> Any:
    """Draw one spectrogram and return its image; None where there is nothing to draw."""
    axes.set_title(panel.title, fontsize="small")
    axes.tick_params(labelsize="small")
    if panel.wav is None:
        axes.text(
            0.5,
            0.5,
            f"failed: {panel.error}",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize="x-small",
            color=GRAY,
            wrap=True,
        )
        return None
    levels = np.round((log_stft(panel.wav, *cells) - loudest) / STEP_DB) * STEP_DB
    seconds = len(panel.wav) / SAMPLE_RATE
    return axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, seconds, 0, SAMPLE_RATE / 2000),
        vmin=-RANGE_DB,
        vmax=0,
        cmap="inferno",
    )

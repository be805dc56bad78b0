"""What all pictures share: figures without global state, colors, and files that never drift."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from semanticodec.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
PICTURE_KINDS = ("png", "svg")
# Okabe and Ito's colors, which color-blind people tell apart too, without the pale yellow.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GRAY = "#6E6E6E"  # for what is not ours, and for second axes
PALE = "#D9D9D9"
SVG_SALT = "semanticodec"  # of ids inside SVG files, which are random otherwise
NUM_COLORS = 256


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that many inches that no global state knows.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "drawing needs matplotlib; install it with pip install 'semanticodec[eval]'"
        ) from error
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def tidy(axes: Axes) -> None:
    """Leave of an axes' frame what is read off: two sides and a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def picture_kind(name: str) -> str:
    """Return the format that a file name asks for.

    Raises:
        ConfigError: the suffix is neither .png nor .svg.
    """
    kind = name.rpartition(".")[2].lower()
    if kind not in PICTURE_KINDS or "." not in name:
        raise ConfigError(f"{name} is no picture that can be written; end it in .png or .svg")
    return kind


def picture_bytes(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file: the same bytes whenever the same figure is drawn.

    Args:
        figure: from `new_figure`.
        kind: "png" (of at most 256 colors, to be small) or "svg".
    """
    import matplotlib

    stream = io.BytesIO()
    if kind == "svg":
        with matplotlib.rc_context({"svg.hashsalt": SVG_SALT}):
            figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        return stream.getvalue()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    reduced = image.quantize(NUM_COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    reduced.save(stream, format="png", optimize=True, dpi=(DPI, DPI))
    return stream.getvalue()

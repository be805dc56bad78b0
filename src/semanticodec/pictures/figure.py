"""Figures of matplotlib, drawn without its global state, as files of pictures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from semanticodec.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def require_matplotlib() -> None:
    """Raise MissingDependencyError where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            'drawing needs matplotlib; install it with pip install "semanticodec[plot]"'
        ) from error


def write_picture(
    figure: Figure, target: Path | BinaryIO, kind: str = "png", dpi: float = 110
) -> None:
    """Write a figure as PNG or WebP, whatever the suffix of `target`."""
    quality = {"quality": 80} if kind == "webp" else None
    with warnings.catch_warnings():
        # An empty rectangle stands for the letter.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(target, format=kind, dpi=dpi, pil_kwargs=quality)


def printable(name: str) -> str:
    r"""Return a file name with bytes that are no letters as `\udcff`."""
    return name.encode(errors="backslashreplace").decode()

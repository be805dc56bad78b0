"""The picture of where the time goes: a bar for encode and one for decode, module by module."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from benchmarks.modules.settings import TITLES as NAMES
from benchmarks.tables import count, seconds_text
from semanticodec.benchmark.modules import REST
from semanticodec.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colors, which color-blind people tell apart too.
COLORS = {
    "fbank": "#E69F00",
    "audiomae": "#0072B2",
    "semantic": "#CC79A7",
    "lstm": "#D55E00",
    "acoustic": "#009E73",
    "context": "#56B4E9",
    "unet": "#0072B2",
    "sampler": "#F0E442",
    "vae": "#D55E00",
    "vocoder": "#009E73",
    REST: "#999999",
}
TITLES = {**NAMES, "unet": "T-UNet", "sampler": "sampler's own", REST: "everything else"}
SMALLEST_LABELED = 0.07  # share of a bar that holds its seconds
LEGEND_COLUMNS = 3
WIDTH, HEIGHT, TITLE_HEIGHT = 9.5, 2.3, 0.4  # inches
DPI = 110
SVG_SALT = "semanticodec"  # of ids inside SVG files, which are random otherwise


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that many inches that no global state knows.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            'drawing needs matplotlib; install it with pip install "semanticodec[plot]"'
        ) from error
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def picture_bytes(figure: Figure, kind: str) -> bytes:
    """Return a figure as a "png" or "svg" file, the same bytes for the same figure."""
    import matplotlib

    stream = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else None
    with matplotlib.rc_context({"svg.hashsalt": SVG_SALT}):
        figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()


def draw_times(report: dict[str, Any]) -> Figure | None:
    """Return the picture of a report; None where it has neither encode nor decode.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    rows = [row for row in report["modules"] if row["name"] in ("encode", "decode")]
    if not rows:
        return None
    settings = report["settings"]
    threads = count(settings["threads"], "thread")
    where = threads if settings["device"] == "cpu" else settings["device"]
    figure = new_figure(WIDTH, HEIGHT * len(rows) + TITLE_HEIGHT)
    figure.suptitle(f"Where the time goes: {settings['model']}, {settings['dtype']}, {where}")
    # Below every bar a panel of its own for the legend, which then covers nothing.
    panels: Any = figure.subplots(2 * len(rows), 1, height_ratios=[1.4, 1] * len(rows))
    for index, row in enumerate(rows):
        _draw_bar(panels[2 * index], panels[2 * index + 1], row)
    return figure


def _draw_bar(panel: Axes, below: Axes, row: dict[str, Any]) -> None:
    shares = {name: row["shares"][name] for name in TITLES if name in row["shares"]}
    total = sum(shares.values())
    start = 0.0
    for name, seconds in shares.items():
        share = seconds / total
        label = f"{TITLES[name]}: {seconds_text(seconds)} s, {100 * share:.1f} %"
        panel.barh(0, seconds, left=start, color=COLORS[name], edgecolor="white", label=label)
        if share >= SMALLEST_LABELED:
            text = f"{seconds_text(seconds)} s"
            color = "black" if name in ("sampler", "context", "fbank") else "white"
            panel.text(start + seconds / 2, 0, text, ha="center", va="center", color=color)
        start += seconds
    panel.set_title(
        f"{row['title'].capitalize()} {row['audio_seconds']:g} s of sound: "
        f"{seconds_text(total)} s, {row['audio_seconds'] / total:.3g} × real time",
        loc="left",
        fontsize="medium",
    )
    panel.set_xlim(0, total)
    panel.set_xlabel("seconds")
    panel.set_yticks([])
    panel.spines[["top", "right", "left"]].set_visible(False)
    below.set_axis_off()
    handles, labels = panel.get_legend_handles_labels()
    below.legend(
        handles, labels, loc="upper left", ncols=LEGEND_COLUMNS, frameon=False, fontsize="small"
    )

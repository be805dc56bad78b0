"""The paper's Figures 3 and 4: mean scores of all conditions, over all clips and by domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semanticodec.files import atomic_path
from semanticodec.listening.plan import ANCHOR, REFERENCE
from semanticodec.listening.report import domain_label, simulated_note

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEANS_NAME, DOMAINS_NAME = "means.png", "domains.png"
DPI = 110
GRADE_WIDTH = 20
GRAYS = {REFERENCE: ("#6E6E6E",), ANCHOR: ("#C8C8C8", "#A0A0A0")}
# Okabe and Ito's colors, which color-blind people tell apart too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INCHES_PER_BAR = 0.9


def draw_figures(results: Mapping[str, Any], out: Path) -> list[Path]:
    """Write both figures of a MUSHRA test and return their paths.

    Args:
        results: content of `results.json`.
        out: folder of the figures.
    """
    drawn = {MEANS_NAME: draw_means(results), DOMAINS_NAME: draw_domains(results)}
    for name, figure in drawn.items():
        with atomic_path(out / name) as path:
            figure.savefig(path, format="png", metadata={"Software": None})
    return [out / name for name in drawn]


def draw_means(results: Mapping[str, Any]) -> Figure:
    """Return bars of the mean over all clips, with 95 % intervals (Figure 3)."""
    conditions = results["conditions"]
    figure, axes = _new_figure(results, 2.0 + INCHES_PER_BAR * len(conditions))
    for place, (condition, color) in enumerate(zip(conditions, _colors(conditions))):
        score = results["scores"][condition["name"]]
        _bar(axes, place, 0.7, score, color)
        axes.text(place, score["high"] + 1, f"{score['mean']:.1f}", ha="center", va="bottom")
    labels = [_label(condition) for condition in conditions]
    axes.set_xticks(range(len(conditions)), labels, rotation=25, ha="right")
    return figure


def draw_domains(results: Mapping[str, Any]) -> Figure:
    """Return the same bars for every domain (Figure 4)."""
    conditions = results["conditions"]
    domains = results["domains"]
    width = 0.8 / len(conditions)
    num_bars = len(conditions) * len(domains)
    figure, axes = _new_figure(results, 3.5 + 0.45 * INCHES_PER_BAR * num_bars)
    for index, (condition, color) in enumerate(zip(conditions, _colors(conditions))):
        for place, domain in enumerate(domains):
            score = domains[domain]["scores"][condition["name"]]
            label = _label(condition) if place == 0 else None
            _bar(axes, place - 0.4 + (index + 0.5) * width, 0.9 * width, score, color, label)
    labels = [domain_label(domain, found) for domain, found in domains.items()]
    axes.set_xticks(range(len(domains)), labels)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _new_figure(results: Mapping[str, Any], width: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(0, 105)
    axes.set_yticks(range(0, 101, GRADE_WIDTH))
    axes.set_ylabel("MUSHRA score")
    axes.grid(axis="y", color="#D9D9D9", linewidth=0.6)
    axes.set_axisbelow(True)
    note = f"Mean and 95 % interval, {results['num_listeners']} listeners"
    figure.suptitle(results["title"], parse_math=False)
    simulated = simulated_note(results)
    figure.supxlabel("\n".join(filter(None, [note, simulated])), fontsize="small", color="#6E6E6E")
    return figure, axes


def _bar(
    axes: Axes,
    place: float,
    width: float,
    score: Mapping[str, float],
    color: str,
    label: str | None = None,
) -> None:
    mean = score["mean"]
    errors = [[mean - score["low"]], [score["high"] - mean]]
    axes.bar(place, mean, width, color=color, label=label, yerr=errors, capsize=3)


def _colors(conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return grays for reference and anchors, and colors for systems."""
    counts: Counter[str] = Counter()
    colors = []
    for role in (condition["role"] for condition in conditions):
        choices = GRAYS.get(role, COLORS)
        colors.append(choices[counts[role] % len(choices)])
        counts[role] += 1
    return colors


def _label(condition: Mapping[str, Any]) -> str:
    rate = "" if condition["kbps"] is None else f" ({condition['kbps']:.2f} kbps)"
    return f"{condition['name']}{rate}".replace("$", r"\$")

"""The paper's Figures 6 and 7: quality over guidance and steps, and over semantic vocabularies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.figures.style import (
    GRAY,
    MARKERS,
    PALE,
    PALETTE,
    new_figure,
    tidy,
)
from experiments.results.tables import metric_title, overall_scores
from semanticodec.errors import DataError
from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.summary import BITRATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GUIDANCE_STEPS, VOCABULARY = "guidance-steps", "vocabulary"
GUIDANCE_STEPS_METRICS = ("visqol_speech", "mel")
VOCABULARY_METRICS = ("visqol_speech", "wer")
BAR_WIDTH = 0.4  # of the distance between two vocabularies

Score = Mapping[str, float]


def draw_sweep(result: Mapping[str, Any], *, domain: str | None = None) -> Figure:
    """Return the picture of an ablation that is a sweep.

    Args:
        result: of the kind "ablations".
        domain: whose scores are drawn; None for averages, and the word errors of speech.
    Raises:
        DataError: another ablation, or no scores of that domain.
    """
    draw = SWEEPS.get(result["name"])
    if draw is None:
        raise DataError(
            f"the ablation '{result['name']}' is no sweep that can be drawn; "
            f"{' and '.join(SWEEPS)} are"
        )
    return draw(result, domain)


def _draw_guidance_steps(result: Mapping[str, Any], domain: str | None) -> Figure:
    metrics = _present(result, GUIDANCE_STEPS_METRICS, domain)
    figure = new_figure(4.6 * len(metrics), 4.2)
    panels: Any = figure.subplots(1, len(metrics), squeeze=False)
    guidances = sorted({row["settings"]["guidance"] for row in result["rows"]})
    steps = sorted({row["settings"]["steps"] for row in result["rows"]})
    for axes, metric in zip(panels[0], metrics):
        tidy(axes)
        for index, guidance in enumerate(guidances):
            rows = [row for row in result["rows"] if row["settings"]["guidance"] == guidance]
            places = [steps.index(row["settings"]["steps"]) for row in rows]
            # Lines stand a little apart, so that their intervals can be told apart.
            shift = 0.06 * (index - (len(guidances) - 1) / 2)
            shifted = [place + shift for place in places]
            _draw_line(axes, shifted, _scores(rows, metric, domain), index, f"{guidance:g}")
        axes.set_xticks(range(len(steps)), [str(step) for step in steps])
        axes.set_xlabel("Sampling steps")
        axes.set_ylabel(_axis_label(metric))
    handles, labels = panels[0][0].get_legend_handles_labels()
    title = "Guidance scale (1: none), with 95 % intervals"
    figure.legend(handles, labels, title=title, loc="outside lower center", ncols=7, frameon=False)
    return figure


def _draw_vocabulary(result: Mapping[str, Any], domain: str | None) -> Figure:
    metrics = _present(result, VOCABULARY_METRICS, domain)
    figure = new_figure(5.2 * len(metrics), 4.2)
    panels: Any = figure.subplots(1, len(metrics), squeeze=False)
    rates = sorted({row["settings"]["rate"] for row in result["rows"]}, reverse=True)
    vocabularies = sorted({row["settings"]["vocab"] for row in result["rows"]})
    for axes, metric in zip(panels[0], metrics):
        bitrates = _second_axis(axes)
        for index, rate in enumerate(rates):
            rows = [row for row in result["rows"] if row["settings"]["rate"] == rate]
            places = [vocabularies.index(row["settings"]["vocab"]) for row in rows]
            _draw_line(axes, places, _scores(rows, metric, domain), index, f"{rate} tokens/s")
            kbps = [score["mean"] / 1000 for score in _scores(rows, BITRATE, domain)]
            width = BAR_WIDTH / len(rates)
            shift = width * (index - (len(rates) - 1) / 2)
            middles = [place + shift for place in places]
            bitrates.bar(middles, kbps, width=0.9 * width, color=_color(index), alpha=0.18)
        axes.set_xticks(range(len(vocabularies)), [str(size) for size in vocabularies])
        axes.set_xlabel("Semantic vocabulary (entries)")
        axes.set_ylabel(_axis_label(metric))
    handles, labels = panels[0][0].get_legend_handles_labels()
    handles.append(_bar_handle())
    labels.append("bitrate (right axis)")
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2 * len(metrics), frameon=False
    )
    return figure


SWEEPS: dict[str, Callable[[Mapping[str, Any], str | None], Figure]] = {
    GUIDANCE_STEPS: _draw_guidance_steps,
    VOCABULARY: _draw_vocabulary,
}


def _second_axis(axes: Axes) -> Axes:
    """Return an axis of bitrates on the right, whose bars stand behind the lines of `axes`."""
    tidy(axes)
    bitrates: Any = axes.twinx()
    bitrates.spines[["top", "left"]].set_visible(False)
    bitrates.set_ylabel("Bitrate (kbps)", color=GRAY)
    bitrates.tick_params(colors=GRAY)
    axes.set_zorder(bitrates.get_zorder() + 1)
    axes.patch.set_visible(False)
    return bitrates


def _axis_label(name: str) -> str:
    better = "higher" if METRICS[name].is_higher_better else "lower"
    return f"{metric_title(name)}: {better} is better"


def _color(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _bar_handle() -> Any:
    from matplotlib.patches import Patch

    return Patch(color=PALE)


def _row_scores(row: Mapping[str, Any], domain: str | None) -> Mapping[str, Score]:
    return overall_scores(row) if domain is None else row["scores"].get(domain, {})


def _scores(rows: Sequence[Mapping[str, Any]], metric: str, domain: str | None) -> list[Score]:
    return [_row_scores(row, domain)[metric] for row in rows]


def _present(result: Mapping[str, Any], metrics: Sequence[str], domain: str | None) -> list[str]:
    """Return the metrics that every row has.

    Raises:
        DataError: none of them.
    """
    present = [
        metric
        for metric in metrics
        if all(metric in _row_scores(row, domain) for row in result["rows"])
    ]
    if not result["rows"] or not present:
        raise DataError(
            f"the ablation '{result['name']}' has no {' or '.join(metrics)} "
            f"{'' if domain is None else f'of the domain {domain} '}in every row; measure them, or "
            "choose another domain"
        )
    return present


def _draw_line(
    axes: Axes, places: Sequence[float], scores: Sequence[Score], index: int, label: str
) -> None:
    """Draw means with their 95 % intervals."""
    order = sorted(range(len(places)), key=lambda number: places[number])
    means = [scores[number]["mean"] for number in order]
    below = [scores[number]["mean"] - scores[number]["low"] for number in order]
    above = [scores[number]["high"] - scores[number]["mean"] for number in order]
    axes.errorbar(
        [places[number] for number in order],
        means,
        yerr=[below, above],
        color=_color(index),
        marker=MARKERS[index % len(MARKERS)],
        markersize=5,
        linewidth=1.5,
        elinewidth=0.8,
        label=label,
    )

"""The paper's Figure 1: quality over semantic accuracy, with bubbles as large as bitrates.

The paper's points were measured on its own clips and tasks, ours on others: the picture keeps the
two groups apart, and only points of one group compare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.figures.style import GRAY, PALETTE, new_figure, tidy
from experiments.paper.numbers import paper_table
from experiments.results.reader import (
    RECONSTRUCTION,
    SEMANTICS,
    Result,
    complete,
    of_kind,
)
from experiments.results.tables import overall_scores
from semanticodec.errors import ConfigError, DataError
from semanticodec.evaluation.summary import BITRATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUALITY_METRIC = "visqol_speech"  # the mode that compares with the paper's ViSQOL
ALL_LAYERS = "all"
# What tells one model and setting from another.
IDENTITY = ("fingerprint", "token_rate", "semantic_vocab_size")
MAX_SURPLUS = 1.3  # of the bits spent: every clip fills its last column
POINTS2_PER_KBPS = 110.0  # area of a bubble
LABEL_HEIGHT = 0.045  # of the picture
LEGEND_KBPS = (0.5, 1.5, 6.0)
OUR_COLOR = PALETTE[1]
PAPER_COLORS = {
    "SemantiCodec": PALETTE[0],
    "DAC": PALETTE[2],
    "EnCodec": PALETTE[3],
    "HiFi-Codec": PALETTE[6],
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One codec at one bitrate.

    Attributes:
        label: what stands beside it, before its bitrate.
        accuracy: mean over the tasks, percent.
        visqol: mean over the domains.
        kbps: kilobits per second.
        paper_codec: whose figures the paper prints; None for our own measurements.
        suite: the clips of our own measurement.
    """

    label: str
    accuracy: float
    visqol: float
    kbps: float
    paper_codec: str | None = None
    suite: str = ""


def paper_points() -> list[Point]:
    """Return what Tables II and III say of the codecs that both have, all layers together."""
    qualities = {row["system"]: row["visqol"] for row in paper_table("table_2")}
    points = []
    for row in paper_table("table_3"):
        codec, kbps = row["system"], row["kbps"]
        quality = qualities.get(f"{codec} {kbps:.2f} kbps")
        if row["layers"] == ALL_LAYERS and quality is not None:
            points.append(
                Point(
                    label=codec,
                    accuracy=row["average"],
                    visqol=quality,
                    kbps=kbps,
                    paper_codec=codec,
                )
            )
    return points


def measured_points(results: Sequence[Result], matches: Mapping[str, str]) -> list[Point]:
    """Return the systems of which both the quality and the semantics were measured.

    Args:
        results: any; those of the kinds "reconstruction" and "semantics" are used.
        matches: features that belong to a system, by the system's name. A system that is not in it
            goes with the features of its own name, of its name and `:all`, or else with those of
            the same model at the same bitrate.
    Raises:
        ConfigError: a match names a system or features that no result has.
    """
    systems = _systems(results)
    probed = _probed(results)
    for system, features in matches.items():
        _check_known(system, systems, "system")
        _check_known(features, probed, "features")
    points = []
    for name, (suite, system) in systems.items():
        features = matches.get(name) or _own_features(system, probed)
        if features is not None:
            scores = overall_scores(system)
            points.append(
                Point(
                    label=name,
                    accuracy=probed[features].accuracy,
                    visqol=scores[QUALITY_METRIC]["mean"],
                    kbps=scores[BITRATE]["mean"] / 1000,
                    suite=suite,
                )
            )
    return points


def measured_on(points: Sequence[Point], results: Sequence[Result]) -> str:
    """Return what the measured points rest on, as a note for the picture; "" without such points.

    Args:
        points: from `measured_points`.
        results: those that they were made of.
    """
    suites = dict.fromkeys(point.suite for point in points if point.suite)
    tasks = [
        task["name"] for result in of_kind(results, SEMANTICS) for task in result.content["tasks"]
    ]
    if not suites or not tasks:
        return ""
    return (
        f"Measured here: suite {', '.join(suites)}; tasks {', '.join(dict.fromkeys(tasks))}. "
        "The paper's\nbubbles rest on other clips and tasks: only bubbles of one kind compare."
    )


def _check_known(name: str, known: Mapping[str, Any], what: str) -> None:
    if name not in known:
        raise ConfigError(
            f"no result has the {what} '{name}'; choose from {', '.join(known) or '(none)'}"
        )


def _own_features(system: Mapping[str, Any], probed: Mapping[str, Probed]) -> str | None:
    """Return the features that belong to a system, None where nothing says which."""
    for label in (system["name"], f"{system['name']}:{ALL_LAYERS}"):
        if label in probed:
            return label
    spent = overall_scores(system)[BITRATE]["mean"]
    identity = [system["details"].get(key) for key in IDENTITY]
    if None in identity:
        return None
    for label, features in probed.items():
        rate = features.bits_per_second
        is_same_model = identity == [features.details.get(key) for key in IDENTITY]
        if is_same_model and rate is not None and rate <= spent <= MAX_SURPLUS * rate:
            return label
    return None


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What is known of features that were probed on every task."""

    accuracy: float
    bits_per_second: float | None
    details: Mapping[str, Any]


def _systems(results: Sequence[Result]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return suite and scores of the systems whose quality and bitrate are known, by name.

    A system that several files measured, on several suites, counts once: in the first file.
    """
    systems = {}
    known: list[tuple[str, Mapping[str, Any]]] = []
    for result in of_kind(results, RECONSTRUCTION):
        with complete(result):
            suite = result.content["suite"]["name"]
            for system in result.content["systems"]:
                setting = system["spec"], system["details"]
                is_scored = {QUALITY_METRIC, BITRATE} <= overall_scores(system).keys()
                if is_scored and setting not in known:
                    known.append(setting)
                    systems[system["name"]] = suite, system
    return systems


def _probed(results: Sequence[Result]) -> dict[str, Probed]:
    """Return the features that were probed on all tasks of their file, by name."""
    probed = {}
    for result in of_kind(results, SEMANTICS):
        with complete(result):
            tasks = {task["name"] for task in result.content["tasks"]}
            found: dict[str, list[Mapping[str, Any]]] = {}
            for score in result.content["scores"]:
                found.setdefault(score["features"], []).append(score)
            for name, scores in found.items():
                if {score["task"] for score in scores} == tasks:
                    probed[name] = Probed(
                        accuracy=math.fsum(score["mean"] for score in scores) / len(scores),
                        bits_per_second=scores[0]["bits_per_second"],
                        details=scores[0]["details"],
                    )
    return probed


def draw_quality_semantics(points: Sequence[Point], *, note: str = "") -> Figure:
    """Return the picture.

    Args:
        points: of the paper, of ours, or both.
        note: stands below the picture, such as what ours were measured on.
    Raises:
        DataError: no points.
    """
    if not points:
        raise DataError(
            "no system has both a quality and a semantic accuracy; give results of the kinds "
            "reconstruction and semantics of the same system, and say which belong together"
        )
    figure = new_figure(8.2, 5.4)
    axes = figure.subplots()
    tidy(axes)
    accuracies = [point.accuracy for point in points]
    room = 0.25 * (max(accuracies) - min(accuracies) + 5)  # for the labels beside the bubbles
    sides = [_label_side(point, points, room) for point in points]
    left = min(p.accuracy - (0.3 if side > 0 else 1) * room for p, side in zip(points, sides))
    axes.set_xlim(left, max(accuracies) + room)
    axes.margins(y=0.12)
    for point, side in zip(points, sides):
        _draw_point(axes, point, side)
    axes.set_xlabel("Semantic accuracy, mean over the tasks (%)")
    axes.set_ylabel("ViSQOL, speech mode, mean over the domains")
    _add_legend(figure, axes, points)
    if note:
        figure.supxlabel(note, fontsize="small", color=GRAY)
    return figure


def _label_side(point: Point, points: Sequence[Point], room: float) -> int:
    """Return 1 to write right of a bubble, or -1: left, where only the right has a neighbor."""
    visqols = [other.visqol for other in points]
    near = LABEL_HEIGHT * (max(visqols) - min(visqols))
    beside = [
        other.accuracy - point.accuracy
        for other in points
        if other is not point and abs(other.visqol - point.visqol) < near
    ]
    is_right_taken = any(0 <= distance < room for distance in beside)
    is_left_taken = any(-room < distance < 0 for distance in beside)
    return -1 if is_right_taken and not is_left_taken else 1


def _draw_point(axes: Axes, point: Point, side: int) -> None:
    color, face = _colors(point)
    area = POINTS2_PER_KBPS * point.kbps
    axes.scatter(
        [point.accuracy],
        [point.visqol],
        s=area,
        facecolors=face,
        edgecolors=color,
        linewidths=1.4,
    )
    axes.annotate(
        f"{point.label} {point.kbps:.2f}",
        (point.accuracy, point.visqol),
        xytext=(side * (math.sqrt(area / math.pi) + 3), 0),
        textcoords="offset points",
        horizontalalignment="left" if side > 0 else "right",
        verticalalignment="center",
        fontsize="small",
        color=color,
    )


def _colors(point: Point) -> tuple[str, str]:
    """Return the colors of a bubble's edge and inside."""
    if point.paper_codec is None:
        return OUR_COLOR, OUR_COLOR
    return PAPER_COLORS.get(point.paper_codec, GRAY), "none"


def _add_legend(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    entries = []
    if any(point.paper_codec is None for point in points):
        entries.append((60.0, OUR_COLOR, OUR_COLOR, "measured here"))
    if any(point.paper_codec is not None for point in points):
        entries.append((60.0, GRAY, "none", "printed in the paper"))
    entries += [
        (POINTS2_PER_KBPS * kbps, GRAY, "none", f"area of {kbps:g} kbps") for kbps in LEGEND_KBPS
    ]
    handles = [
        axes.scatter([], [], s=area, facecolors=face, edgecolors=edge, label=label)
        for area, edge, face, label in entries
    ]
    figure.legend(
        handles=handles,
        loc="outside right upper",
        frameon=False,
        fontsize="small",
        labelspacing=2.0,
        handletextpad=1.2,
        borderpad=0.8,
    )

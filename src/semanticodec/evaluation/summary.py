"""From what was measured of every clip to means, intervals and differences per domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from semanticodec.evaluation.journal import Row
from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.statistics import Estimate, Stratum, estimate, mean
from semanticodec.token_format import SAMPLE_RATE

AVERAGE = "average"
PAPER_DOMAINS = ("general", "music", "speech")
BITRATE = "bits_per_second"
COLUMNS = ("system", "domain", "clip", "metric", "values")
Number = Callable[[np.ndarray], np.ndarray | np.floating]


def summarize(
    rows: Sequence[Row],
    systems: Sequence[Mapping[str, Any]],
    baselines: Sequence[str],
    metrics: Sequence[str],
    domains: Sequence[str],
) -> dict[str, Any]:
    """Return the `systems`, `differences` and `clips` of `results.json`.

    Args:
        rows: rows of every system and clip, as the journal keeps them.
        systems: `name`, `spec` and `details` of each.
        baselines: names of those that the others are compared with.
        metrics: names, in the order of the reports.
        domains: domains of the suite.
    """
    measured = pd.DataFrame(_measured(rows, metrics), columns=pd.Index(COLUMNS))
    others = [system["name"] for system in systems if system["name"] not in baselines]
    return {
        "systems": [
            {**_describe(system, rows), "scores": _scores(measured, system["name"], domains)}
            for system in systems
        ],
        "differences": [
            {"system": name, "baseline": baseline, **difference}
            for baseline in baselines
            for name in others
            for difference in _differences(measured, name, baseline, metrics, domains)
        ],
        "clips": [_flat(row) for row in rows if "error" not in row],
    }


def averaged_domains(domains: Sequence[str]) -> list[str]:
    """Return the domains whose means make the average: the paper's, or all if none is there.

    An additional set, such as `speech_extra`, would otherwise count speech twice.
    """
    return [name for name in domains if name in PAPER_DOMAINS] or list(domains)


def _measured(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield a row of COLUMNS for every measure of every clip: what its number is made of."""
    for row in rows:
        if "error" in row:
            continue
        place = row["system"], row["domain"], row["clip"]
        for name in metrics:
            values = _values(row, name)
            if values is not None:
                yield *place, name, values
        rate = _bits_per_second(row)
        if rate is not None:
            yield *place, BITRATE, (rate, 1.0)


def _values(row: Row, metric: str) -> tuple[float, ...] | None:
    """Return what is summed over clips, or None of a clip that has no number."""
    scores, pooled = row["scores"], METRICS[metric].pooled
    if pooled is None:
        return (scores[metric], 1.0) if metric in scores else None
    return tuple(scores[key] for key in pooled.keys) if scores.get(pooled.keys[-1]) else None


def _number_of(metric: str) -> Number:
    pooled = METRICS[metric].pooled if metric in METRICS else None
    return mean if pooled is None else pooled.number


def _difference_of(number: Number) -> Number:
    """Return the number of values of two systems side by side: the first less the second."""

    def difference(sums: np.ndarray) -> np.ndarray | np.floating:
        ours, others = np.split(sums, 2, axis=-1)
        return number(ours) - number(others)

    return difference


def _describe(system: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    own = [row for row in rows if row["system"] == system["name"]]
    return {
        **system,
        "num_clips": len(own),
        "failures": [{"clip": row["clip"], "error": row["error"]} for row in own if "error" in row],
        "warnings": [
            {"clip": row["clip"], "warning": text}
            for row in own
            for text in row.get("warnings", ())
        ],
    }


def _scores(
    measured: pd.DataFrame, system: str, domains: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    scores: dict[str, dict[str, dict[str, float]]] = {}
    own = measured.query("system == @system")
    for metric in own["metric"].unique():
        number = _number_of(metric)
        for domain, found in _estimates(own.query("metric == @metric"), number, domains):
            scores.setdefault(domain, {})[metric] = found.as_dict()
    return scores


def _differences(
    measured: pd.DataFrame,
    system: str,
    baseline: str,
    metrics: Sequence[str],
    domains: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Yield how much more the system has than the baseline, on the clips that both have."""
    own, other = (measured.query("system == @name") for name in (system, baseline))
    both = own.merge(other, on=["domain", "clip", "metric"], suffixes=("", "_baseline"))
    # The resampling depends on the order.
    both = both.assign(values=both["values"] + both["values_baseline"]).sort_values("clip")
    for metric in metrics:
        number = _difference_of(_number_of(metric))
        for domain, found in _estimates(both.query("metric == @metric"), number, domains):
            yield {"domain": domain, "metric": metric, **found.as_dict()}


def _estimates(
    measured: pd.DataFrame, number: Number, domains: Sequence[str]
) -> Iterator[tuple[str, Estimate]]:
    """Yield the number of every domain that has one, then their average if all of its have."""
    strata = {
        domain: Stratum(values=np.array(clips["values"].to_list(), dtype=float), number=number)
        for domain in domains
        if len(clips := measured.query("domain == @domain"))
    }
    for domain, clips in strata.items():
        yield domain, estimate([clips])
    averaged = averaged_domains(domains)
    if len(averaged) > 1 and strata.keys() >= set(averaged):
        yield AVERAGE, estimate([strata[domain] for domain in averaged])


def _bits_per_second(row: Row) -> float | None:
    num_bits = row["num_bits"]
    return None if num_bits is None else num_bits * SAMPLE_RATE / row["num_samples"]


def _flat(row: Row) -> dict[str, Any]:
    rate = _bits_per_second(row)
    return {
        "system": row["system"],
        "domain": row["domain"],
        "clip": row["clip"],
        "num_samples": row["num_samples"],
        **({} if rate is None else {BITRATE: rate}),
        **_shown_scores(row),
    }


def _shown_scores(row: Row) -> dict[str, float]:
    """Return the scores of a clip, its own number in place of sums that mean nothing."""
    shown = dict(row["scores"])
    for name, metric in METRICS.items():
        if metric.pooled is None or metric.pooled.are_counts:
            continue
        sums = [shown.pop(key, 0.0) for key in metric.pooled.keys]
        if sums[-1]:
            shown[name] = float(metric.pooled.number(np.array(sums)))
    return shown

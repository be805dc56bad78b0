"""From what was measured of every clip to means, intervals and differences per domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from semanticodec.audio.io import SAMPLE_RATE
from semanticodec.evaluation.journal import Row
from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.statistics import Estimate, Stratum, estimate, stratum

AVERAGE = "average"
PAPER_DOMAINS = ("general", "music", "speech")
BITRATE = "bits_per_second"
PERCENT = 100.0  # of which results give rates such as that of word errors

Scores = dict[str, dict[str, dict[str, float]]]
# The measured clips of one system and domain, by name.
ClipRows = Mapping[str, Row]
MakeStratum = Callable[[str], "Stratum | None"]


def summarise(
    rows: Sequence[Row],
    systems: Sequence[Mapping[str, Any]],
    baselines: Sequence[str],
    metrics: Sequence[str],
    domains: Sequence[str],
) -> dict[str, Any]:
    """Return the `systems`, `differences` and `clips` of `results.json`.

    Args:
        rows: of every system and clip, as the journal keeps them.
        systems: `name`, `spec` and `details` of each.
        baselines: names of those that the others are compared with.
        metrics: names, in the order of the reports.
        domains: of the suite.
    """
    measured = _by_system_and_domain(rows, systems, domains)
    averaged = averaged_domains(domains)
    differences = [
        {"system": name, "baseline": baseline, **difference}
        for baseline in baselines
        for name in measured
        if name not in baselines
        for difference in _differences(measured[name], measured[baseline], metrics, averaged)
    ]
    return {
        "systems": [
            _describe(system, rows, measured[system["name"]], metrics, averaged)
            for system in systems
        ],
        "differences": differences,
        "clips": [_flat(row) for row in rows if "error" not in row],
    }


def averaged_domains(domains: Sequence[str]) -> list[str]:
    """Return the domains whose means make the average: the paper's, or all if none is there.

    An additional set, such as `speech_extra`, would otherwise count speech twice.
    """
    return [name for name in domains if name in PAPER_DOMAINS] or list(domains)


def _by_system_and_domain(
    rows: Sequence[Row], systems: Sequence[Mapping[str, Any]], domains: Sequence[str]
) -> dict[str, dict[str, dict[str, Row]]]:
    measured = {system["name"]: {domain: {} for domain in domains} for system in systems}
    for row in rows:
        if "error" not in row:
            measured[row["system"]][row["domain"]][row["clip"]] = row
    return measured


def _describe(
    system: Mapping[str, Any],
    rows: Sequence[Row],
    measured: Mapping[str, ClipRows],
    metrics: Sequence[str],
    averaged: Sequence[str],
) -> dict[str, Any]:
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
        "scores": _scores(measured, metrics, averaged),
    }


def _scores(
    measured: Mapping[str, ClipRows], metrics: Sequence[str], averaged: Sequence[str]
) -> Scores:
    scores: Scores = {}
    for metric in (*metrics, BITRATE):
        strata = {domain: _stratum(rows, metric) for domain, rows in measured.items()}
        for domain, figure in _estimates(strata, averaged):
            scores.setdefault(domain, {})[metric] = figure.as_dict()
    return scores


def _differences(
    system: Mapping[str, ClipRows],
    baseline: Mapping[str, ClipRows],
    metrics: Sequence[str],
    averaged: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Yield how much more the system has than the baseline, on the clips that both have."""
    for metric in metrics:
        strata = {
            domain: _paired(rows, baseline[domain], metric) for domain, rows in system.items()
        }
        for domain, figure in _estimates(strata, averaged):
            yield {"domain": domain, "metric": metric, **figure.as_dict()}


def _estimates(
    strata: Mapping[str, Stratum | None], averaged: Sequence[str]
) -> Iterator[tuple[str, Estimate]]:
    """Yield the figure of every domain that has one, then their average if all of its have."""
    for domain, clips in strata.items():
        if clips is not None:
            yield domain, estimate([clips])
    parts = [clips for domain in averaged if (clips := strata[domain]) is not None]
    if len(parts) == len(averaged) > 1:
        yield AVERAGE, estimate(parts)


def _stratum(rows: ClipRows, metric: str) -> Stratum | None:
    figures = [figure for row in rows.values() if (figure := _figure(row, metric)) is not None]
    return stratum(*zip(*figures)) if figures else None


def _paired(rows: ClipRows, others: ClipRows, metric: str) -> Stratum | None:
    figures = []
    for clip in sorted(rows.keys() & others.keys()):  # the resampling depends on the order
        own, other = _figure(rows[clip], metric), _figure(others[clip], metric)
        if own is not None and other is not None:
            figures.append((own[0] - other[0], own[1]))
    return stratum(*zip(*figures)) if figures else None


def _figure(row: Row, metric: str) -> tuple[float, float] | None:
    """Return a clip's value and weight; None where it has none."""
    if metric == BITRATE:
        rate = _bits_per_second(row)
        return None if rate is None else (rate, 1.0)
    scores, quotient = row["scores"], METRICS[metric].quotient
    if quotient is None:
        return (scores[metric], 1.0) if metric in scores else None
    part, whole = quotient
    return (PERCENT * scores[part], scores[whole]) if scores.get(whole) else None


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
        **row["scores"],
    }

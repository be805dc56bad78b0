"""Markdown tables of ablations and code use.

Reconstruction and semantics have reports of their own (`report`, `semantics.report`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.summary import AVERAGE, BITRATE
from semanticodec.evaluation.tables import NOTHING, estimate, number, table

Content = Mapping[str, Any]


def _metrics(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    present = {metric for own in scores for metric in own}
    return [name for name in METRICS if name in present]


def metric_title(name: str) -> str:
    """Return what tables and axes call a metric, with its unit."""
    metric = METRICS[name]
    return f"{metric.label}, {metric.unit}" if metric.unit else metric.label


def _titles(metrics: Sequence[str]) -> list[str]:
    """Return titles with arrows toward what is better."""
    arrows = ["↑" if METRICS[name].is_higher_better else "↓" for name in metrics]
    return [f"{metric_title(name)} {arrow}" for name, arrow in zip(metrics, arrows)]


def _kbps(score: Content | None) -> str:
    """Return the mean of bits per second as kilobits."""
    return number(None if score is None else score["mean"] / 1000, 2)


# ---------------------------------------------------------------------- ablations


def ablation_table(content: Content) -> list[str]:
    """Return rows x metrics: averages over the domains, word errors of speech, accuracies."""
    scores = [overall_scores(row) for row in content["rows"]]
    metrics = _metrics(scores)
    tasks = list(
        dict.fromkeys(task for row in content["rows"] for task in row.get("semantics", {}))
    )
    rows = [
        [
            row["label"],
            _kbps(own.get(BITRATE)),
            *(estimate(own.get(metric), METRICS[metric].decimals) for metric in metrics),
            *(_task_cell(row.get("semantics", {}).get(task)) for task in tasks),
        ]
        for row, own in zip(content["rows"], scores)
    ]
    return table(["Row", "kbps", *_titles(metrics), *(f"{task}, %" for task in tasks)], rows)


def overall_scores(measured: Content) -> dict[str, Content]:
    """Return the scores of a system or row over all its domains, by metric.

    Averages, those of the only domain where there is one, and of speech what only speech has.

    Args:
        measured: results with `scores`: domain -> metric -> score.
    """
    domains: Mapping[str, Mapping[str, Content]] = measured["scores"]
    if len(domains) == 1:
        return dict(*domains.values())
    overall = dict(domains.get(AVERAGE, {}))
    for scores in domains.values():
        for name, score in scores.items():
            if name in METRICS and METRICS[name].is_speech_only:
                overall.setdefault(name, score)
    return overall


def _task_cell(value: Any) -> str:
    return _accuracy(value) if isinstance(value, Mapping) else number(value, 1)


def _accuracy(score: Content | None) -> str:
    if score is None:
        return NOTHING
    return f"{number(score['mean'], 1)} ± {number(score['std'], 1)}"


# ---------------------------------------------------------------------- code use


def code_use_table(content: Content) -> list[str]:
    """Return domains and streams x measures of code use."""
    rows = []
    for domain, use in content["domains"].items():
        for stream in ("semantic", "acoustic"):
            own = use[stream]
            rows.append(
                [
                    f"{domain}: {stream}",
                    str(own["num_codes"]),
                    f"{own['used']} ({number(100 * own['share_used'], 1)} %)",
                    number(own["perplexity"], 0),
                    str(min(own["codebook_size"], own["num_codes"])),
                    number(own["nominal_bits"], 2),
                    number(own["entropy_bits"], 2),
                    number(own["adaptive_bits"], 2),
                    number(own["conditional_entropy_bits"], 2),
                    number(own["adaptive_bits_given_previous"], 2),
                ]
            )
    header = [
        "Domain: stream",
        "Codes",
        "Entries used",
        "Perplexity",
        "at most",
        "Bits stored",
        "Entropy",
        "Adaptive coder",
        "Entropy, previous known",
        "Adaptive coder, previous known",
    ]
    return table(header, rows)

"""The results of an ablation as CSV and Markdown, the paper's own figures beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from experiments.paper.tables import paper_ablation_tables
from experiments.results.tables import ablation_table
from semanticodec.evaluation.tables import plain, table

TITLES = {
    "variable-vocabulary": "Fixed or variable semantic vocabulary",
    "centroids": "Number of centroids",
    "acoustic-codebook": "Size of the acoustic codebook",
    "lstm-direction": "Direction of the acoustic encoder",
    "learnable-semantic": "Learned semantic codebook",
    "guidance-steps": "Guidance scale and sampling steps",
    "vocabulary": "Semantic vocabulary and bitrate",
}
# What the paper says of its figures, which print no numbers.
FINDINGS = {
    "6": "The paper's Figure 6 prints no numbers. It finds the best quality at a guidance scale "
    "near 3.0, a moderate one with ten steps, and a much better one with more than 25.",
    "7": "The paper's Figure 7 prints no numbers. It finds that speech improves steadily with the "
    "semantic vocabulary, while the bitrate rises.",
}
HOW_TO_READ = (
    "Means with 95 % intervals: averages over the domains, STOI and WER of speech. Accuracies are "
    "those of the first layer, in percent. The paper's figures are of its own models and data: "
    "compare how rows differ, not their values, and its ViSQOL with ViSQOL in speech mode."
)
SCORE_KEYS = ("mean", "low", "high", "num_clips")

Results = Mapping[str, Any]


def csv_text(results: Results) -> str:
    """Return a line per row, domain (or task) and metric."""
    settings = list(dict.fromkeys(key for row in results["rows"] for key in row["settings"]))
    head = ["label", *settings, "domain", "metric", *SCORE_KEYS]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    for row in results["rows"]:
        own = [row["label"], *(row["settings"].get(key, "") for key in settings)]
        for domain, scores in row["scores"].items():
            for metric, score in scores.items():
                cells = [score.get(key, "") for key in SCORE_KEYS]
                writer.writerow([*own, domain, metric, *cells])
        for task, score in row.get("semantics", {}).items():
            mean = score["mean"] if isinstance(score, Mapping) else score
            writer.writerow([*own, task, "accuracy", mean, "", "", ""])
    return stream.getvalue()


def markdown(results: Results) -> str:
    """Return the whole report."""
    sections = [f"# {TITLES[results['name']]}", HOW_TO_READ, _origin(results)]
    if results["rows"]:
        sections += ["## Measured here", "\n".join(ablation_table(results))]
    if any("training" in row for row in results["rows"]):
        sections += ["## Training", "\n".join(_training_table(results))]
    if results["failures"]:
        failed = [f"- {failure['label']}: {failure['error']}" for failure in results["failures"]]
        sections += ["## Failures", "\n".join(failed)]
    return "\n\n".join([*sections, "## The paper", _paper(results["paper"])]) + "\n"


def _origin(results: Results) -> str:
    lines = [
        f"- Date: {results['date']}",
        f"- Machine: {plain(results['machine'])}",
        f"- Versions: {plain(results['versions'])}",
    ]
    if results["suite"]:
        lines.append(f"- Suite: {plain(results['suite'])}")
    return "\n".join([*lines, f"- Settings: {plain(results['settings'])}"])


def _training_table(results: Results) -> list[str]:
    rows = [row for row in results["rows"] if "training" in row]
    keys = list(dict.fromkeys(key for row in rows for key in row["training"]))
    cells = [[row["label"], *(plain(row["training"].get(key)) for key in keys)] for row in rows]
    return table(["Row", *(key.replace("_", " ") for key in keys)], cells)


def _paper(place: Mapping[str, str]) -> str:
    if "figure" in place:
        return FINDINGS[place["figure"]]
    number = place["table"]
    for title, lines in paper_ablation_tables().items():
        if title.startswith(f"Table {number}:"):
            return "\n".join([f"{title}.", "", *lines])
    raise AssertionError(number)

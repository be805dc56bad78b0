"""Results of the probe as a table for spreadsheets, and as one for readers like Table III."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from semanticodec.evaluation.tables import NOTHING, csv_text, number, table

CSV_COLUMNS = (
    "features",
    "bits_per_second",
    "task",
    "metric",
    "mean",
    "std",
    "num_runs",
)
MAX_PROBLEMS = 30  # listed one by one

Json = Mapping[str, Any]


def results_csv(results: Json) -> str:
    """Return one line per features and task."""
    # An unknown bit rate becomes an empty cell.
    rows = [{**score, "num_runs": len(score["runs"])} for score in results["scores"]]
    return csv_text(CSV_COLUMNS, [{name: row[name] for name in CSV_COLUMNS} for row in rows])


def markdown(results: Json) -> str:
    """Return the report: a table of features against tasks, the tasks, and what failed."""
    lines = ["# Semantic information", ""]
    if results["scores"] or not results.get("clusters"):
        lines += [*score_table(results), ""]
        lines += [
            "Percent, mean ± standard deviation over the rounds and seeds of a two-layer "
            "perceptron on features averaged over time. The average is over tasks.",
            "",
        ]
    if results.get("clusters"):
        lines += [*cluster_table(results), ""]
        lines += [
            "Silhouette of the classes, and purity of as many k-means clusters (the same clusters "
            "with classes dealt out at random in parentheses), of vectors of unit length; the "
            "clips that are tested, nothing is trained.",
            "",
        ]
    lines += [
        "## Tasks",
        "",
        *(_task_line(task) for task in results["tasks"]),
        "",
    ]
    found = problems(results)
    if found:
        lines += ["## Problems", "", *(f"- {problem}" for problem in found), ""]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    machine = results["machine"]
    lines += [f"{results['date']}, {machine['processor']} ({machine['cores']} cores); {versions}."]
    return "\n".join(lines) + "\n"


def score_table(results: Json) -> list[str]:
    """Return the lines of the table of features against tasks."""
    tasks = results["tasks"]
    cells: dict[str, dict[str, Json]] = {}
    for score in results["scores"]:
        cells.setdefault(score["features"], {})[score["task"]] = score
    titles = [_title(task) for task in tasks]
    names = [task["name"] for task in tasks]
    rows = [_row(features, scores, names) for features, scores in cells.items()]
    guesses = [task.get("majority") for task in tasks]
    rows.append(
        [
            "most frequent class",
            NOTHING,
            NOTHING,
            *(number(guess, 1) for guess in guesses),
            _average(guesses),
        ]
    )
    return table(["Features", "kbps", "tokens/s", *titles, "Average"], rows)


def cluster_table(results: Json) -> list[str]:
    """Return the lines of the table of features against tasks, of clusters."""
    names = [task["name"] for task in results["tasks"]]
    cells: dict[str, dict[str, Json]] = {}
    for found in results["clusters"]:
        cells.setdefault(found["features"], {})[found["task"]] = found
    rows = []
    for features, by_task in cells.items():
        bits_per_second = next(iter(by_task.values()))["bits_per_second"]
        kbps = NOTHING if bits_per_second is None else number(bits_per_second / 1000, 2)
        rows.append([features, kbps, *(_cluster_cell(by_task.get(name)) for name in names)])
    return table(["Clusters", "kbps", *names], rows)


def _cluster_cell(found: Json | None) -> str:
    if found is None:
        return NOTHING
    silhouette, purity, chance = (
        number(found[key], 3) for key in ("silhouette", "purity", "chance")
    )
    return f"{silhouette} / {purity} ({chance})"


def _title(task: Json) -> str:
    return task["name"] if task["metric"] == "accuracy" else f"{task['name']} ({task['metric']})"


def _row(features: str, scores: Mapping[str, Json], tasks: Sequence[str]) -> list[str]:
    first = next(iter(scores.values()))
    bits_per_second = first["bits_per_second"]
    found = [scores.get(task) for task in tasks]
    return [
        features,
        NOTHING if bits_per_second is None else number(bits_per_second / 1000, 2),
        number(first["details"].get("tokens_per_second"), 0),
        *(_cell(score) for score in found),
        _average([None if score is None else score["mean"] for score in found]),
    ]


def _cell(score: Json | None) -> str:
    if score is None:
        return NOTHING
    return f"{number(score['mean'], 1)} ± {number(score['std'], 1)}"


def _average(values: Sequence[float | None]) -> str:
    """Return the mean; a dash if one is missing, as means over other tasks do not compare."""
    known = [value for value in values if value is not None]
    return number(statistics.fmean(known), 1) if len(known) == len(values) else NOTHING


def _task_line(task: Json) -> str:
    if "folds" in task:
        how = f"{len(task['folds'])} folds, tested on {', '.join(task['test_folds'])}"
    else:
        only = task["rounds"][0]
        how = f"{only['train']} clips for training, {only['valid']} validation, {only['test']} test"
    return (
        f"- {task['name']}: {task['num_clips']} clips, {task['num_classes']} classes, {how}; "
        f"{task['metric']}"
    )


def problems(results: Json) -> list[str]:
    """Return a line for everything that is wrong with the tasks or failed, shortened if many."""
    lines = [
        f"{task['name']}: {problem}" for task in results["tasks"] for problem in task["problems"]
    ]
    for failure in results["failures"]:
        where = [failure[key] for key in ("features", "task", "clip") if key in failure]
        lines.append(f"{', '.join(where)}: {failure['error']}")
    rest = len(lines) - MAX_PROBLEMS
    more = [f"and {rest} more, which results.json lists"] if rest > 0 else []
    return [*lines[:MAX_PROBLEMS], *more]

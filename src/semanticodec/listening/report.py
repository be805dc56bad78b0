"""Results of a listening test as Markdown, CSV and a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from semanticodec.evaluation.tables import csv_text, estimate, number, plain_table, table
from semanticodec.listening.plan import ABX, Plan
from semanticodec.listening.storage import Score

Results = Mapping[str, Any]

HOW_TO_READ = """\
- Scores go from 0 (bad) to 100 (the same as the reference). A mean has its 95 % interval in \
brackets: Student's, over listeners, for these clips.
- Listeners were screened afterwards as ITU-R BS.1534-3 has it: who rates the hidden reference \
below 90, or the anchor of 7 kHz above 90, on more than 15 % of the pages is left out."""
HOW_TO_READ_ABX = """\
- p is the chance to be right at least so often by guessing. The share has Wilson's 95 % \
interval.
- Looking at p again and again and stopping when it is small proves nothing: fix the number of \
listeners before."""


def listener_label(index: int) -> str:
    """Return what a report calls a listener, by the order in which they joined."""
    return f"listener {index + 1}"


def domain_label(domain: str, found: Mapping[str, Any]) -> str:
    """Return a domain with the number of its pages that count."""
    count = found["num_pages"]
    return f"{domain} ({count} clip{'' if count == 1 else 's'})"


def simulated_note(results: Results) -> str:
    """Return a sentence that says whether listeners were simulated, "" where none was."""
    count = results["num_simulated"]
    if not count:
        return ""
    noun = "listener was" if count == 1 else "listeners were"
    return f"{count} {noun} simulated: no person stands behind these numbers."


def scores_csv(plan: Plan, listeners: Sequence[str], rows: Sequence[Score]) -> str:
    """Return one line per score, in the order in which they came, training included."""
    labels = {name: listener_label(index) for index, name in enumerate(listeners)}
    columns = ("listener", "clip", "domain", "repeat", "is_training", "condition", "score")
    lines = [
        {
            "listener": labels[row.listener],
            "clip": plan.pages[row.page].clip,
            "domain": plan.pages[row.page].domain,
            "repeat": plan.pages[row.page].repeat,
            "is_training": row.page not in plan.counted,
            "condition": row.condition,
            "score": row.score,
        }
        for row in rows
    ]
    return csv_text(columns, lines)


def summary(results: Results) -> str:
    """Return the main table for the terminal, and who was left out."""
    head, rows = _main_table(results)
    lines = plain_table(head, rows)
    left_out = [f"{name} is left out: {why}" for name, why in results.get("left_out", {}).items()]
    note = simulated_note(results)
    return "\n".join([*lines, "", *left_out, *([note] if note else [])]).rstrip()


def markdown(results: Results) -> str:
    """Return the whole report."""
    sections = [f"# {results['title']}", _origin(results), *_sections(results)]
    return "\n\n".join(sections) + "\n"


def _origin(results: Results) -> str:
    parts = [
        simulated_note(results),
        f"{results['num_listeners']} listeners count, on {results['num_pages']} pages.",
    ]
    return " ".join(filter(None, parts))


def _sections(results: Results) -> Iterator[str]:
    if results["mode"] == ABX:
        yield HOW_TO_READ_ABX
        yield "\n".join(table(*_main_table(results)))
        yield "## Listeners\n\n" + "\n".join(table(*_shares("listener", results["by_listener"])))
        return
    yield HOW_TO_READ
    yield "\n".join(table(*_main_table(results)))
    if len(results["domains"]) > 1:
        yield "## Domains\n\n" + "\n".join(table(*_domain_table(results)))
    yield (
        "## Differences\n\nEvery listener's own; an interval without 0 is a difference that other "
        "listeners would hardly undo.\n\n" + "\n".join(table(*_difference_table(results)))
    )
    if results["left_out"]:
        lines = [f"- {name}: {why}" for name, why in results["left_out"].items()]
        yield "## Listeners who are left out\n\n" + "\n".join(lines)


Table = tuple[list[str], list[list[str]]]


def _main_table(results: Results) -> Table:
    if results["mode"] == ABX:
        domains = results["domains"] if len(results["domains"]) > 1 else {}
        return _shares("domain", {**domains, "together": results["answers"]})
    head = ["condition", "kbps", "mean", "median", "quartiles"]
    rows = []
    for condition in results["conditions"]:
        score = results["scores"][condition["name"]]
        quartiles = f"{score['lower_quartile']:.0f} to {score['upper_quartile']:.0f}"
        rows.append(
            [
                condition["name"],
                number(condition["kbps"], 2),
                estimate(score, 1),
                number(score["median"], 0),
                quartiles,
            ]
        )
    return head, rows


def _shares(what: str, found: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        [
            name,
            f"{entry['num_right']} of {entry['num_trials']}",
            estimate({"mean": entry["share"], "low": entry["low"], "high": entry["high"]}, 2),
            f"{entry['p_value']:.2g}",
        ]
        for name, entry in found.items()
    ]
    return [what, "right", "share", "p"], rows


def _domain_table(results: Results) -> Table:
    domains = results["domains"]
    head = ["condition", *(domain_label(domain, found) for domain, found in domains.items())]
    rows = [
        [
            condition["name"],
            *(estimate(found["scores"][condition["name"]], 1) for found in domains.values()),
        ]
        for condition in results["conditions"]
    ]
    return head, rows


def _difference_table(results: Results) -> Table:
    rows = [
        [f"{entry['condition']} − {entry['other']}", estimate(entry, 1, sign="+")]
        for entry in results["differences"]
    ]
    return ["conditions", "difference"], rows

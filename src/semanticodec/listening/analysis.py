"""From ratings to results: post-screening, statistics, report, figures.

OUT/results.json, OUT/report.md     everything that is known, for programs and for people
OUT/scores.csv                      every score, also those that do not count
OUT/means.png, OUT/domains.png      the paper's Figures 3 and 4 (MUSHRA)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from semanticodec.errors import DataError
from semanticodec.files import write_json, write_text
from semanticodec.listening import report
from semanticodec.listening.anchors import MID
from semanticodec.listening.plan import ABX, REFERENCE, Plan
from semanticodec.listening.scores import collect
from semanticodec.listening.screening import post_screen
from semanticodec.listening.session import Test
from semanticodec.listening.statistics import binomial, describe, differences
from semanticodec.listening.storage import RATINGS_NAME, Score

RESULTS_NAME = "results.json"
FORMAT = 1


def analyze(folder: Path, out: Path) -> dict[str, Any]:
    """Write what a test has shown so far, and return the content of `results.json`.

    Args:
        folder: the test folder; listeners may go on meanwhile.
        out: folder of the results.
    Raises:
        DataError: no test, nobody who finished it, or nobody left after screening.
    """
    if not (folder / RATINGS_NAME).is_file():
        raise DataError(f"nobody has rated {folder} yet; hold it with `semanticodec mushra serve`")
    test = Test.open(folder)
    listeners, rows = test.storage.listeners(), test.storage.scores()
    summarize = _abx if test.plan.mode == ABX else _mushra
    results = {
        "format": FORMAT,
        "title": test.plan.title,
        "mode": test.plan.mode,
        "test": test.plan.fingerprint,
        "conditions": [asdict(condition) for condition in test.plan.conditions],
        "num_pages": len(test.plan.counted),
        "num_simulated": sum(listeners.values()),
        **summarize(test.plan, list(listeners), rows),
    }
    write_text(out / "scores.csv", report.scores_csv(test.plan, list(listeners), rows))
    write_json(out / RESULTS_NAME, results)
    write_text(out / "report.md", report.markdown(results))
    return results


def _mushra(plan: Plan, listeners: Sequence[str], rows: Sequence[Score]) -> dict[str, Any]:
    scores = collect(plan, listeners, rows)
    (reference,) = plan.index_of(REFERENCE)
    mid_anchor = plan.names.index(MID) if MID in plan.names else None
    reasons = post_screen(scores.values, reference, mid_anchor)
    is_kept = np.array([reason is None for reason in reasons], dtype=bool)
    if not is_kept.any():
        raise DataError(
            f"of {len(listeners)} listeners, {len(scores.listeners)} finished the test and none is "
            "left after post-screening; wait for more"
        )
    left_out = {
        **{name: reason for name, reason in zip(scores.listeners, reasons) if reason is not None},
        **{
            name: f"finished {count} of {len(plan.counted)} pages"
            for name, count in scores.unfinished.items()
        },
    }
    values = scores.values[is_kept]  # N P C
    domains = np.array([plan.pages[page].domain for page in plan.counted])
    return {
        "num_listeners": len(values),
        "left_out": _numbered(listeners, left_out),
        "scores": _described(plan, values),
        "domains": {
            domain: {
                "num_pages": int((domains == domain).sum()),
                "scores": _described(plan, values[:, domains == domain]),
            }
            for domain in dict.fromkeys(domains.tolist())
        },
        "differences": differences(
            {name: values[..., index].mean(axis=1) for index, name in enumerate(plan.names)}
        ),
    }


def _described(plan: Plan, values: Float[np.ndarray, "N P C"]) -> dict[str, dict[str, float]]:
    return {name: describe(values[..., index]) for index, name in enumerate(plan.names)}


def _abx(plan: Plan, listeners: Sequence[str], rows: Sequence[Score]) -> dict[str, Any]:
    """Return the counts of all answers so far: an answer stands by itself."""
    counted = [row for row in rows if row.page in plan.counted]
    if not counted:
        raise DataError(
            f"none of {len(listeners)} listeners has answered a page that counts; wait for more"
        )
    by_listener: dict[str, list[int]] = defaultdict(list)
    by_domain: dict[str, list[int]] = defaultdict(list)
    for row in counted:
        by_listener[row.listener].append(row.score)
        by_domain[plan.pages[row.page].domain].append(row.score)
    return {
        "num_listeners": len(by_listener),
        "answers": _counted([row.score for row in counted]),
        "domains": {name: _counted(found) for name, found in by_domain.items()},
        "by_listener": _numbered(
            listeners, {name: _counted(found) for name, found in by_listener.items()}
        ),
    }


def _counted(answers: Sequence[int]) -> dict[str, Any]:
    return binomial(sum(answers), len(answers))


def _numbered(listeners: Sequence[str], found: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of listeners, who are numbered: with a token others could go on."""
    labels = {name: report.listener_label(index) for index, name in enumerate(listeners)}
    return {labels[name]: found[name] for name in listeners if name in found}

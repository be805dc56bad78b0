"""An ablation's CSV and Markdown: every score, every setting, the paper's figures apart."""

import csv
import io

import pytest

from experiments.ablations.report import TITLES, csv_text, markdown
from experiments.ablations.run import PAPER


def score(mean):
    return {"mean": mean, "low": mean - 0.5, "high": mean + 0.5, "num_clips": 3}


def results(name="learnable-semantic", **changes):
    rows = [
        {
            "label": "k-means centroids",
            "settings": {"rate": 50, "semantic": "k-means"},
            "scores": {
                "speech": {"visqol_speech": score(2.0), "wer": score(30.0)},
                "average": {"visqol_speech": score(2.25)},
            },
            "semantics": {"esc": {"mean": 41.0, "std": 1.5}, "average": 41.0},
            "training": {"recipe": "codec/tiny", "steps": 4, "perplexity_moving": 12.5},
        },
        {
            "label": "learned | codebook",
            "settings": {"rate": 50, "semantic": "learned"},
            "scores": {},
        },
    ]
    return {
        "name": name,
        "paper": PAPER[name],
        "date": "2026-01-01T00:00:00Z",
        "machine": {"cores": 2},
        "versions": {"torch": "2.0"},
        "suite": {"name": "clips", "domains": {"speech": 3}, "problems": []},
        "settings": {"recipe": "tiny"},
        "rows": rows,
        "failures": [{"label": "third", "error": "no such module"}],
        **changes,
    }


def test_the_csv_has_a_line_per_score_with_its_settings():
    rows = list(csv.DictReader(io.StringIO(csv_text(results()))))
    assert [(row["domain"], row["metric"], row["mean"]) for row in rows] == [
        ("speech", "visqol_speech", "2.0"),
        ("speech", "wer", "30.0"),
        ("average", "visqol_speech", "2.25"),
        ("esc", "accuracy", "41.0"),
        ("average", "accuracy", "41.0"),
    ]
    assert {row["semantic"] for row in rows} == {"k-means"}
    assert (rows[0]["low"], rows[0]["high"], rows[0]["num_clips"]) == ("1.5", "2.5", "3")


def test_the_report_keeps_ours_and_the_papers_apart():
    text = markdown(results())
    ours, paper = text.split("## The paper")
    assert "2.25" in ours and "41.0" in ours and "12.5" in ours
    assert "- third: no such module" in ours
    assert "| learned with the codec | 3.57 | 5.10 | 28.5 |" in paper
    assert "3.57" not in ours and "2.25" not in paper


@pytest.mark.parametrize("name", TITLES)
def test_every_ablation_shows_what_the_paper_has(name):
    text = markdown(results(name, failures=[]))
    assert text.startswith(f"# {TITLES[name]}\n") and "## Failures" not in text
    place = PAPER[name]
    wanted = f"Table {place['table']}:" if "table" in place else f"Figure {place['figure']} "
    assert wanted in text.split("## The paper")[1]


def test_a_report_without_rows_names_what_failed():
    text = markdown(results(rows=[], suite={}))
    assert "## Measured here" not in text and "- third: no such module" in text

"""The paper's tables hold together: their printed means are those of their rows."""

import pytest

from experiments.paper.numbers import DOMAINS, TASKS, paper_table

TABLE_2 = paper_table("table_2")
TABLE_3 = paper_table("table_3")


@pytest.mark.parametrize("row", TABLE_2, ids=lambda row: row["system"])
def test_mean_visqol_is_the_mean_of_the_domains(row):
    mean = sum(row[f"{domain}_visqol"] for domain in DOMAINS) / 3
    # The paper's own means were taken before rounding.
    assert row["visqol"] == pytest.approx(mean, abs=0.011)


@pytest.mark.parametrize(
    "row", TABLE_3, ids=lambda row: f"{row['layers']} {row['system']} {row['kbps']}"
)
def test_mean_accuracy_is_the_mean_of_the_tasks(row):
    accuracies = [row[task] for task in TASKS]
    assert row["average"] == pytest.approx(sum(accuracies) / 6, abs=0.09)


def test_token_rates_grow_with_bitrates():
    rows = [row for row in TABLE_2 if row["system"].startswith("DAC")]
    assert len(rows) == 4
    assert all(row["tokens_per_s"] == pytest.approx(100 * row["kbps"]) for row in rows)


def test_six_systems_have_published_outputs():
    assert sum(isinstance(row["published"], str) for row in TABLE_2) == 6

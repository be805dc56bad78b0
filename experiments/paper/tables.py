"""Markdown tables of what the paper prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.paper.numbers import DOMAINS, TASKS, paper_table
from semanticodec.evaluation.tables import number, table

LAYER_NAMES = {"unquantized": "none, unquantized", "all": "all", "first": "first"}
LSTM_NAMES = {True: "both directions", False: "forward only"}
CODEBOOK_NAMES = {True: "learned with the codec", False: "k-means centroids"}
VISQOL, WER, ACCURACY = "Mean ViSQOL", "WER, %", "Accuracy, %"

Row = Mapping[Any, Any]


def paper_reconstruction_table() -> list[str]:
    """Return the paper's Table II."""
    measures = [f"{domain}_{name}" for domain in DOMAINS for name in ("mel", "stft", "visqol")]
    decimals = {"kbps": 2, "tokens_per_s": 0, **dict.fromkeys(measures, 2)}
    rows = [
        [row["system"], *_numbers(row, decimals), f"{row['wer']:g}", number(row["visqol"], 2)]
        for row in paper_table("table_2")
    ]
    metrics = [f"{domain} {name}" for domain in DOMAINS for name in ("MEL", "STFT", "ViSQOL")]
    return table(["System", "kbps", "Tokens/s", *metrics, "speech WER, %", VISQOL], rows)


def paper_mushra_table() -> list[str]:
    """Return the mean scores of the listening test that the paper gives as numbers."""
    rows = [[row["system"], number(row["mean"], 1)] for row in paper_table("mushra")]
    return table(["System", "MUSHRA, mean"], rows)


def paper_semantics_table() -> list[str]:
    """Return the paper's Table III."""
    decimals = {"kbps": 2, **dict.fromkeys((*TASKS, "average"), 1)}
    rows = [
        [row["system"], LAYER_NAMES[row["layers"]], *_numbers(row, decimals)]
        for row in paper_table("table_3")
    ]
    header = ["System", "VQ layers", "kbps", *TASKS, "Average"]
    return table(header, rows, num_text_columns=2)


def paper_ablation_tables() -> dict[str, list[str]]:
    """Return the paper's Tables IV to VII by their titles."""
    kinds = [f"{what}, {how}" for how in ("fixed", "variable") for what in (VISQOL, WER)]
    return {
        "Table IV: fixed or variable semantic vocabulary": _ablation(
            "table_4",
            ["Stack factor", *kinds],
            lambda row: str(row["stack_factor"]),
            {"fixed_visqol": 2, "fixed_wer": 1, "variable_visqol": 2, "variable_wer": 1},
        ),
        "Table V: number of centroids": _ablation(
            "table_5",
            ["Centroids", ACCURACY],
            lambda row: str(row["semantic_vocab_size"]),
            {"accuracy": 1},
        ),
        "Table VI: acoustic encoder": _ablation(
            "table_6",
            ["Acoustic codebook and LSTM", VISQOL, WER],
            lambda row: f"{row['acoustic_vocab_size']}, {LSTM_NAMES[row['is_bidirectional']]}",
            {"visqol": 3, "wer": 2},
        ),
        "Table VII: learnable semantic codebook": _ablation(
            "table_7",
            ["Semantic codebook", VISQOL, WER, ACCURACY],
            lambda row: CODEBOOK_NAMES[row["is_learnable"]],
            {"visqol": 2, "wer": 2, "accuracy": 1},
        ),
    }


def _ablation(
    name: str, header: Sequence[str], title: Callable[[Row], str], decimals: Mapping[str, int]
) -> list[str]:
    return table(header, [[title(row), *_numbers(row, decimals)] for row in paper_table(name)])


def _numbers(row: Row, decimals: Mapping[str, int]) -> list[str]:
    return [number(row[name], places) for name, places in decimals.items()]

"""Markdown tables of what the paper prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from experiments.paper.numbers import DOMAINS, TASKS, paper_table
from semanticodec.evaluation.tables import number, table

LAYER_NAMES = {"unquantized": "none, unquantized", "all": "all", "first": "first"}
LSTM_NAMES = {True: "both directions", False: "forward only"}
CODEBOOK_NAMES = {True: "learned with the codec", False: "k-means centroids"}
VISQOL, WER = "Mean ViSQOL", "WER, %"


def paper_reconstruction_table() -> list[str]:
    """Return the paper's Table II."""
    rows = paper_table("table_2")
    decimals = {"kbps": 2, "tokens_per_s": 0}
    measures = [f"{domain}_{name}" for domain in DOMAINS for name in ("mel", "stft", "visqol")]
    decimals |= dict.fromkeys(measures, 2)
    cells = _numbers(rows, decimals)
    cells.insert(0, "System", rows["system"])
    cells["wer"] = [f"{value:g}" for value in rows["wer"]]
    cells["visqol"] = [number(value, 2) for value in rows["visqol"]]
    metrics = [f"{domain} {name}" for domain in DOMAINS for name in ("MEL", "STFT", "ViSQOL")]
    header = ["System", "kbps", "Tokens/s", *metrics, "speech WER, %", "Mean ViSQOL"]
    return table(header, cells.values.tolist())


def paper_mushra_table() -> list[str]:
    """Return the mean scores of the listening test that the paper gives as numbers."""
    rows = paper_table("mushra")
    return table(
        ["System", "MUSHRA, mean"], [[row.system, number(row.mean, 1)] for row in rows.itertuples()]
    )


def paper_semantics_table() -> list[str]:
    """Return the paper's Table III."""
    rows = paper_table("table_3")
    cells = _numbers(rows, {"kbps": 2, **dict.fromkeys((*TASKS, "average"), 1)})
    cells.insert(0, "System", rows["system"])
    cells.insert(1, "VQ layers", rows["layers"].map(LAYER_NAMES))
    header = ["System", "VQ layers", "kbps", *TASKS, "Average"]
    return table(header, cells.values.tolist(), num_text_columns=2)


def paper_ablation_tables() -> dict[str, list[str]]:
    """Return the paper's Tables IV to VII by their titles."""
    vocabularies = paper_table("table_4")
    centroids = paper_table("table_5")
    acoustic = paper_table("table_6")
    learnable = paper_table("table_7")
    kinds = [f"{what}, {how}" for how in ("fixed", "variable") for what in (VISQOL, WER)]
    encoders = [
        f"{row.acoustic_vocab_size}, {LSTM_NAMES[row.is_bidirectional]}"
        for row in acoustic.itertuples()
    ]
    return {
        "Table IV: fixed or variable semantic vocabulary": _named(
            "Stack factor",
            vocabularies["stack_factor"].astype(str),
            kinds,
            _numbers(
                vocabularies,
                {"fixed_visqol": 2, "fixed_wer": 1, "variable_visqol": 2, "variable_wer": 1},
            ),
        ),
        "Table V: number of centroids": _named(
            "Centroids",
            centroids["semantic_vocab_size"].astype(str),
            ["Accuracy, %"],
            _numbers(centroids, {"accuracy": 1}),
        ),
        "Table VI: acoustic encoder": _named(
            "Acoustic codebook and LSTM",
            encoders,
            [VISQOL, WER],
            _numbers(acoustic, {"visqol": 3, "wer": 2}),
        ),
        "Table VII: learnable semantic codebook": _named(
            "Semantic codebook",
            learnable["is_learnable"].map(CODEBOOK_NAMES),
            [VISQOL, WER, "Accuracy, %"],
            _numbers(learnable, {"visqol": 2, "wer": 2, "accuracy": 1}),
        ),
    }


def _numbers(rows: pd.DataFrame, decimals: Mapping[str, int]) -> pd.DataFrame:
    """Return columns as texts with so many decimals."""
    return pd.DataFrame(
        {name: [number(value, places) for value in rows[name]] for name, places in decimals.items()}
    )


def _named(title: str, names: Iterable[str], columns: list[str], cells: pd.DataFrame) -> list[str]:
    rows = [[name, *numbers] for name, numbers in zip(names, cells.values.tolist())]
    return table([title, *columns], rows)

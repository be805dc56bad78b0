"""Markdown tables of what the paper prints."""

from __future__ import annotations

from semanticodec.evaluation.paper_figures import (
    DOMAINS,
    MUSHRA,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TABLE_7,
    TASKS,
)
from semanticodec.evaluation.results_tables import number, table

LAYER_NAMES = {"unquantized": "none, unquantized", "all": "all", "first": "first"}
LSTM_NAMES = {True: "both directions", False: "forward only"}


def paper_reconstruction_table() -> list[str]:
    """Return the paper's Table II."""
    rows = []
    for row in TABLE_2:
        cells = [row.system, number(row.kbps, 2), number(row.tokens_per_s, 0)]
        for domain in DOMAINS:
            own = row.domains[domain]
            cells += [number(value, 2) for value in (own.mel, own.stft, own.visqol)]
        rows.append([*cells, f"{row.wer:g}", number(row.visqol, 2)])
    metrics = [f"{domain} {name}" for domain in DOMAINS for name in ("MEL", "STFT", "ViSQOL")]
    return table(["System", "kbps", "Tokens/s", *metrics, "speech WER, %", "Mean ViSQOL"], rows)


def paper_mushra_table() -> list[str]:
    """Return the mean scores of the listening test that the paper gives as numbers."""
    rows = [[system, number(score, 1)] for system, score in MUSHRA.items()]
    return table(["System", "MUSHRA, mean"], rows)


def paper_semantics_table() -> list[str]:
    """Return the paper's Table III."""
    rows = [
        [
            row.system,
            LAYER_NAMES[row.layers],
            number(row.kbps, 2),
            *(number(row.accuracies[task], 1) for task in TASKS),
            number(row.average, 1),
        ]
        for row in TABLE_3
    ]
    header = ["System", "VQ layers", "kbps", *TASKS, "Average"]
    return table(header, rows, num_text_columns=2)


def paper_ablation_tables() -> dict[str, list[str]]:
    """Return the paper's Tables IV to VII by their titles."""
    visqol, wer = "Mean ViSQOL", "WER, %"
    vocabularies = table(
        [
            "Stack factor",
            f"{visqol}, fixed",
            f"{wer}, fixed",
            f"{visqol}, variable",
            f"{wer}, variable",
        ],
        [
            [
                str(row.stack_factor),
                number(row.fixed_visqol, 2),
                number(row.fixed_wer, 1),
                number(row.variable_visqol, 2),
                number(row.variable_wer, 1),
            ]
            for row in TABLE_4
        ],
    )
    centroids = table(
        ["Centroids", "Accuracy, %"],
        [[str(row.semantic_vocab_size), number(row.accuracy, 1)] for row in TABLE_5],
    )
    acoustic = table(
        ["Acoustic codebook and LSTM", visqol, wer],
        [
            [
                f"{row.acoustic_vocab_size}, {LSTM_NAMES[row.is_bidirectional]}",
                number(row.visqol, 3),
                number(row.wer, 2),
            ]
            for row in TABLE_6
        ],
    )
    learnable = table(
        ["Semantic codebook", visqol, wer, "Accuracy, %"],
        [
            [
                "learned with the codec" if row.is_learnable else "k-means centroids",
                number(row.visqol, 2),
                number(row.wer, 2),
                number(row.accuracy, 1),
            ]
            for row in TABLE_7
        ],
    )
    return {
        "Table IV: fixed or variable semantic vocabulary": vocabularies,
        "Table V: number of centroids": centroids,
        "Table VI: acoustic encoder": acoustic,
        "Table VII: learnable semantic codebook": learnable,
    }

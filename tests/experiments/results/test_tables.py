"""Numbers and tables as Markdown, and the paper's tables as they are printed."""

import pytest

from experiments.paper.tables import (
    paper_ablation_tables,
    paper_reconstruction_table,
    paper_semantics_table,
)
from experiments.results.tables import ablation_table, code_use_table, overall_scores
from fake_results import code_use, score, system, vocabulary
from semanticodec.evaluation.tables import estimate, number, plain, table


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(1.005, 1, "1.0"), (-0.5, 2, "−0.50"), (-0.001, 2, "0.00"), (None, 2, "–"), (512, 0, "512")],
)
def test_numbers(value, decimals, text):
    assert number(value, decimals) == text


def test_estimates():
    assert estimate(score(-1.0, 0.2), 2) == "−1.00 [−1.20, −0.70]"
    assert estimate(None, 2) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"steps": 4, "guidance": 1.0}, "steps 4, guidance 1"),
        ({"metrics": ["mel", "stft"], "seed": None}, "metrics (mel, stft), seed –"),
        ({"a": {"b": 1, "c": 2}}, "a (b 1, c 2)"),
        ([], "–"),
        (True, "True"),
    ],
)
def test_plain_values(value, text):
    assert plain(value) == text


def test_cells_cannot_break_a_table():
    assert table(["a", "b"], [["x|y", "1\n2"]]) == [
        "| a | b |",
        "| --- | ---: |",
        r"| x\|y | 1 2 |",
    ]


def test_overall_scores_are_averages_and_what_only_speech_has():
    own = system("a", visqol=3, bits_per_second=1300)
    del own["scores"]["average"]["mel"]  # one dict for all: nor has speech or music
    own["scores"]["music"] = {**own["scores"]["music"], "mel": score(1.0)}
    overall = overall_scores(own)
    assert set(overall) == {"visqol_speech", "bits_per_second", "stoi", "wer"}
    own["scores"] = {"all": own["scores"]["music"]}
    assert "mel" in overall_scores(own)


def test_ablations_have_a_row_for_each_row():
    result = vocabulary()
    result["rows"][1]["semantics"] = {"esc": {"mean": 41.26, "std": 1.04}, "average": 39.0}
    lines = ablation_table(result)
    assert lines[0] == (
        "| Row | kbps | MEL ↓ | ViSQOL (speech mode) ↑ | STOI ↑ | WER, % ↓ | esc, % | average, % |"
    )
    assert len(lines) == 2 + 4
    assert lines[2].startswith("| 4096 entries at 100 tokens per second | 1.30 | 2.00")
    assert lines[2].endswith("| – | – |")
    assert lines[3].endswith("| 41.3 ± 1.0 | 39.0 |")


def test_code_use_tells_the_bound_of_perplexity():
    lines = code_use_table(code_use())
    assert len(lines) == 2 + 6
    assert lines[2] == (
        "| music: semantic | 2000 | 1024 (12.5 %) | 512 | 2000 | 13.00 | 9.00 | 12.50 | 0.50 "
        "| 11.00 |"
    )


def test_the_papers_tables():
    assert "| SemantiCodec 1.40 kbps | 1.40 | 100 | 4.39 | 3.79 | 3.48 |" in "\n".join(
        paper_reconstruction_table()
    )
    assert len(paper_reconstruction_table()) == 2 + 14
    semantic = "\n".join(paper_semantics_table())
    assert (
        "| SemantiCodec | first | 0.70 | 66.6 | 73.9 | 42.7 | 66.7 | 57.5 | 11.1 | 53.1 |"
        in semantic
    )
    tables = {title[:9]: lines for title, lines in paper_ablation_tables().items()}
    assert tables["Table IV:"][-1] == "| 4 | 3.04 | 21.8 | 3.17 | 19.6 |"
    assert tables["Table V: "][-1] == "| 32768 | 53.1 |"
    assert tables["Table VI:"][-1] == "| 8192, forward only | 3.596 | 4.80 |"
    assert tables["Table VII"][-1] == "| learned with the codec | 3.57 | 5.10 | 28.5 |"

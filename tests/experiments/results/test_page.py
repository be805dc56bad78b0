"""The page says where its numbers come from, keeps the paper's apart, and never drifts."""

import re
import shlex
from pathlib import Path

import pytest

from experiments.results.__main__ import build_parser, page_text
from experiments.results.page import results_page
from experiments.results.reader import read_results
from fake_results import (
    ablation,
    code_use,
    guidance_steps,
    reconstruction,
    semantics,
    system,
    vocabulary,
    write,
)
from semanticodec.errors import DataError

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/results.md"
COMMAND = "python -m experiments.results ..."


@pytest.fixture
def folder(tmp_path):
    """A page's folder with results of all kinds."""
    (tmp_path / "results").mkdir()
    ours = system("ours", visqol=2.5, bits_per_second=1300)
    ours["failures"] = [{"clip": "speech/hiss", "error": "it is silent"}]
    write(
        tmp_path / "results",
        eval=reconstruction(system("opus@6", visqol=3.1, bits_per_second=6000), ours),
        probe=semantics(**{"ours:all": (40, 60)}),
        steps=guidance_steps(),
        vocab=vocabulary(),
        clusters=ablation("centroids", [vocabulary()["rows"][0]], {"table": "V"}),
        use=code_use(),
    )
    return tmp_path


def page(folder, figures=None):
    results = read_results((folder / "results").glob("*.json"))
    return results_page(results, page=folder / "results.md", figures=figures, command=COMMAND)


def test_every_file_is_named_with_date_machine_and_versions(folder):
    text = page(folder)
    rows = re.findall(r"^\| \[(\w+)\.json\]\(results/\1\.json\) \| (.*) \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == ["eval", "probe", "clusters", "steps", "vocab", "use"]
    for _, row in rows:
        assert row.endswith(
            "2026-01-02T03:04:05Z | Abacus 9, 2 cores, Linux x86_64 "
            "| semanticodec 0.1.0, python 3.11.0"
        )
    assert f"```bash\n{COMMAND}\n```" in text


def test_measured_and_reported_stand_apart(folder):
    before, measured, reported = re.split(
        r"^## (?:Measured here|Reported by the paper)$", page(folder), flags=re.MULTILINE
    )
    assert "(#measured-here)" in before and "(#reported-by-the-paper)" in before
    # Values that only the paper, or only we have.
    for value in ("7.56", "52.5", "| 16384 | 52.1 |", "| 2.09 | 4.99 |", "93.9"):
        assert value in reported and value not in measured
    for value in ("2.50 [2.40, 2.65]", "40.0 ± 1.5", "512"):
        assert value in measured and value not in reported
    assert "never the values" in " ".join(reported.split())


def test_headings_go_down_one_level_at_a_time(folder):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", page(folder), re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below - above <= 1 for above, below in zip(levels, levels[1:]))


def test_what_went_wrong_is_named(folder):
    text = page(folder)
    assert "transcripts.tsv names gone.wav" in text
    assert "- speech/hiss: it is silent" in text
    assert "Clips that could not be encoded:\n\n- music/broken: it is not readable audio" in text


def test_pictures_that_are_there_are_shown(folder):
    assert "![" not in page(folder)
    pictures = folder / "pictures"
    pictures.mkdir()
    for name in ("quality", "steps", "use", "spectrograms-speech", "unrelated"):
        (pictures / f"{name}.png").write_bytes(b"")
    shown = re.findall(r"^!\[([^]]+)\]\(pictures/([\w-]+)\.png\)$", page(folder, pictures), re.M)
    assert shown == [
        ("Guidance scale and sampling steps", "steps"),
        ("Code use of built-in on tiny-suite", "use"),
        ("Quality over semantic accuracy", "quality"),
        ("Spectrograms speech", "spectrograms-speech"),
    ]


def test_the_same_files_give_the_same_page(folder):
    assert page(folder) == page(folder)


def test_files_elsewhere_are_named_without_their_place(folder):
    results = read_results((folder / "results").glob("use.json"))
    text = results_page(results, page=folder / "docs/results.md", figures=None, command=COMMAND)
    assert "| use.json | Code use |" in text
    assert str(folder) not in text


def test_a_damaged_file_is_named(folder):
    damaged = code_use()
    del damaged["domains"]["music"]["semantic"]["used"]
    write(folder / "results", use=damaged)
    with pytest.raises(DataError, match=r"use\.json is incomplete or damaged \(KeyError\('used'\)"):
        page(folder)


@pytest.mark.skipif(not PAGE.is_file(), reason="docs/results.md is not there")
def test_the_committed_page_is_what_its_command_writes(monkeypatch):
    monkeypatch.chdir(ROOT)
    committed = PAGE.read_text(encoding="utf-8")
    (command,) = re.findall(r"^```bash\n(.*?)\n```$", committed, re.MULTILINE | re.DOTALL)
    args = build_parser().parse_args(shlex.split(command)[3:])
    results = sorted(Path("docs/results").glob("*.json"))
    assert sorted(args.results) == results
    assert args.output == Path("docs/results.md")
    assert page_text(args) == committed

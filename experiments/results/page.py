"""docs/results.md from results files: what was measured here, and apart from it the paper's tables.

The page is a pure function of the files, of the pictures beside them and of the command, so that
running the command again gives the same page.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.ablations import report as ablations_report
from experiments.paper.tables import (
    paper_ablation_tables,
    paper_mushra_table,
    paper_reconstruction_table,
    paper_semantics_table,
)
from experiments.results.reader import (
    ABLATIONS,
    CODE_USE,
    RECONSTRUCTION,
    SEMANTICS,
    Result,
    complete,
    of_kind,
)
from experiments.results.tables import code_use_table
from semanticodec.evaluation import report
from semanticodec.evaluation.semantics import report as semantics_report
from semanticodec.evaluation.tables import plain, table

SECTION = "####"  # heading of one results file
PAPER_HEADING = "## The paper"  # in reports of ablations
QUALITY_NAME = "quality"
SPECTROGRAMS_PREFIX = "spectrograms"
FILE_COLUMNS = ("File", "What", "Date (UTC)", "Machine", "Versions")
MAX_NAMED = 10  # failures that the page names; the results file has all
KIND_TITLES = {
    RECONSTRUCTION: "Reconstruction",
    SEMANTICS: "Semantic content",
    ABLATIONS: "Ablations and sweeps",
    CODE_USE: "Code use",
}
INTRODUCTIONS = {
    CODE_USE: "Perplexity and entropy are estimated from counts: N codes show a perplexity of at "
    "most N, and too low an entropy while N is small. That holds all the more for the entropy "
    "given the code one step earlier in the same band. What an adaptive coder without prior "
    "knowledge spends is an upper bound. Bits are per code.",
}
Content = Mapping[str, Any]


class Pictures:
    """The pictures of a folder, as a page embeds them.

    Args:
        folder: folder of the pictures; None for a page without any.
        page: the page's own file.
    """

    def __init__(self, folder: Path | None, page: Path) -> None:
        self._folder = folder
        self._page = page

    def embedded(self, name: str, caption: str) -> list[str]:
        """Return the lines that show NAME.png, none where there is no such picture."""
        if self._folder is None or not (self._folder / f"{name}.png").is_file():
            return []
        return ["", f"![{caption}]({linked(self._folder / f'{name}.png', self._page)})"]

    def names(self, prefix: str) -> list[str]:
        """Return the names of the pictures that begin so, in order."""
        if self._folder is None:
            return []
        return sorted(path.stem for path in self._folder.glob(f"{prefix}*.png"))


def linked(path: Path, page: Path) -> str:
    """Return a file's address for a link on a page."""
    return Path(os.path.relpath(path, page.parent)).as_posix()


def results_page(
    results: Sequence[Result], *, page: Path, figures: Path | None, command: str
) -> str:
    """Return the page's text.

    Args:
        results: result of `read_results`.
        page: path of the page; links are relative to it.
        figures: folder of pictures: QUALITY_NAME, one named as each results file that has one,
            and any that begin with SPECTROGRAMS_PREFIX.
        command: what makes this page.
    """
    pictures = Pictures(figures, page)
    lines = [*_opening(results, page, command), "", "## Measured here"]
    for kind, title in KIND_TITLES.items():
        own = of_kind(results, kind)
        if own:
            lines += ["", f"### {title}"]
        if own and kind in INTRODUCTIONS:
            lines += ["", INTRODUCTIONS[kind]]
        for result in own:
            with complete(result):
                lines += ["", *SECTIONS[kind](result, pictures)]
    lines += _overview(pictures)
    lines += _paper_part()
    return "\n".join(lines) + "\n"


def _opening(results: Sequence[Result], page: Path, command: str) -> list[str]:
    rows = [
        [
            _file_link(result.path, page),
            KIND_TITLES[result.kind],
            result.content["date"],
            _machine(result.content["machine"]),
            plain(result.content["versions"]),
        ]
        for result in results
    ]
    return [
        "# Results",
        "",
        "This page is generated from results files; do not edit it. To regenerate it:",
        "",
        "```bash",
        command,
        "```",
        "",
        "What was [measured here](#measured-here) and what the "
        "[paper reports](#reported-by-the-paper) are in separate parts: they come from different "
        "recordings, and the paper's MEL and STFT are on another scale. ↑: higher is better, ↓: "
        "lower is better.",
        "",
        *table(FILE_COLUMNS, rows, num_text_columns=len(FILE_COLUMNS)),
    ]


def _file_link(path: Path, page: Path) -> str:
    """Return a link to a file below the page's folder, and the mere name of any other."""
    is_below = path.resolve().is_relative_to(page.resolve().parent)
    return f"[{path.name}]({linked(path, page)})" if is_below else path.name


def _machine(machine: Content) -> str:
    parts = [machine["processor"], f"{machine['cores']} cores", machine["platform"]]
    return ", ".join([*parts, *filter(None, [machine.get("accelerator")])])


def _reconstruction(result: Result, pictures: Pictures) -> list[str]:
    suite = result.content["suite"]["name"]
    return _included(report.markdown(result.content), f"{result.name}: suite {suite}")


def _semantics(result: Result, pictures: Pictures) -> list[str]:
    return _included(semantics_report.markdown(result.content), result.name)


def _ablation(result: Result, pictures: Pictures) -> list[str]:
    title = ablations_report.TITLES[result.content["name"]]
    lines = _included(ablations_report.markdown(result.content), f"{result.name}: {title}")
    return [*lines, *pictures.embedded(result.name, title)]


def _included(text: str, title: str) -> list[str]:
    """Return a report of its own as a part of the page: under another title, headings deeper.

    What it repeats of the paper is left out: that stands apart.
    """
    _, *lines = text.partition(f"\n{PAPER_HEADING}\n")[0].rstrip().splitlines()
    deeper = [f"{SECTION[1:]}{line}" if line.startswith("##") else line for line in lines]
    return [f"{SECTION} {title}", *deeper]


def _named_list(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    shown = [f"- {' '.join(entry.split())}" for entry in entries[:MAX_NAMED]]
    if len(entries) > MAX_NAMED:
        shown.append(f"- and {len(entries) - MAX_NAMED} more, which the results file names")
    return ["", title, "", *shown]


def _code_use(result: Result, pictures: Pictures) -> list[str]:
    content = result.content
    failures = [f"{entry['clip']}: {entry['error']}" for entry in content.get("failures", [])]
    title = f"Code use of {content['model']['name']} on {content['suite']}"
    return [
        f"{SECTION} {title}",
        "",
        f"Model: {plain(content['model'])}.",
        *pictures.embedded(result.name, title),
        "",
        *code_use_table(content),
        *_named_list("Clips that could not be encoded:", failures),
    ]


SECTIONS: dict[str, Callable[[Result, Pictures], list[str]]] = {
    RECONSTRUCTION: _reconstruction,
    SEMANTICS: _semantics,
    ABLATIONS: _ablation,
    CODE_USE: _code_use,
}


def _overview(pictures: Pictures) -> list[str]:
    """Return the pictures that belong to no single results file."""
    lines = []
    quality = pictures.embedded(QUALITY_NAME, "Quality over semantic accuracy")
    if quality:
        lines += [
            "",
            "### Quality and semantic content",
            "",
            "As the paper's Figure 1. Filled bubbles were measured here, hollow ones are printed "
            "in the paper and come from other clips and tasks: compare bubbles of one kind only.",
            *quality,
        ]
    names = pictures.names(SPECTROGRAMS_PREFIX)
    if names:
        text = "As the paper's Figure 5: log-STFT spectrograms of originals and reconstructions."
        lines += ["", "### Spectrograms", "", text]
    for name in names:
        caption = name.replace("-", " ").replace("_", " ").capitalize()
        lines += pictures.embedded(name, caption)
    return lines


def _paper_part() -> list[str]:
    lines = [
        "",
        "## Reported by the paper",
        "",
        "As printed in arXiv 2405.00233v2; nothing of it was measured by this project. Its MEL is "
        "about 2.9 times, its STFT 1.1 to 1.9 times what our definitions give on the authors' own "
        "published outputs: compare the order, never the values. Its ViSQOL compares with ours in "
        "speech mode. Word errors are those of Whisper-large-v3.",
        "",
        "### Listening test (MUSHRA, from the text)",
        "",
        *paper_mushra_table(),
        "",
        "### Table II: reconstruction",
        "",
        *paper_reconstruction_table(),
        "",
        "### Table III: semantic content",
        "",
        *paper_semantics_table(),
    ]
    for title, rows in paper_ablation_tables().items():
        lines += ["", f"### {title}", "", *rows]
    return lines

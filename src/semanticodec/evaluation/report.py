"""Reconstruction results as Markdown, CSV and a table for the terminal: pure functions of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.summary import AVERAGE, BITRATE, averaged_domains

Results = Mapping[str, Any]
Row = Sequence[str]

MISSING = "–"
KBPS_DECIMALS = 3
CSV_HEAD = ("system", "domain", "clip", "num_samples")

HOW_TO_READ = """\
- Every figure is a mean over clips with its 95 % bootstrap interval in brackets, which is too \
narrow where there are only a few clips; ↑ means that higher is better, ↓ lower.
- MEL and STFT follow the definitions of DAC's evaluation. They are not on the scale of the \
paper's tables: compare their order with the paper's, never their values.
- `visqol_speech` (speech mode, 16 kHz) is the figure to compare with the ViSQOL of the paper's \
Table II, in every domain; `visqol_audio` (audio mode, 48 kHz) is on another scale.
- kbps counts the bits that were spent on these clips, without container."""
AVERAGE_NOTE = """\
- The average is the mean of the domains {domains}; its interval draws clips inside each."""
WER_NOTE = """\
- WER is word errors per word of the transcripts, in percent, as `{recogniser}` hears them. \
Compare it with the same recogniser's figure on the original recordings (the system \
`ground-truth`), not with figures of another recogniser."""


def clips_csv(results: Results) -> str:
    """Return one line per system and clip that was measured, with every figure."""
    seen = {name: None for clip in results["clips"] for name in clip if name not in CSV_HEAD}
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=[*CSV_HEAD, *seen], lineterminator="\n")
    writer.writeheader()
    writer.writerows(results["clips"])
    return stream.getvalue()


def table(results: Results) -> str:
    """Return the means for the terminal: a table per domain, and how many clips failed."""
    parts = []
    for domain in _domains(results):
        rows = [_head(results), *_score_rows(results, domain, with_interval=False)]
        parts.append(f"{_title(results, domain)}\n{_aligned(rows)}")
    failures = [_failure_count(system) for system in results["systems"] if system["failures"]]
    return "\n\n".join([*parts, *failures])


def markdown(results: Results) -> str:
    """Return the whole report."""
    sections = [
        f"# Reconstruction: {results['suite']['name']}",
        _origin(results),
        _reading(results),
        *_score_sections(results),
        *_difference_sections(results),
        _details(results),
        *_trouble_sections(results),
    ]
    return "\n\n".join(sections) + "\n"


def _metrics(results: Results) -> list[str]:
    return list(results["settings"]["metrics"])


def _domains(results: Results) -> list[str]:
    domains = list(results["suite"]["domains"])
    has_average = any(AVERAGE in system["scores"] for system in results["systems"])
    return [*domains, AVERAGE] if has_average else domains


def _title(results: Results, domain: str) -> str:
    if domain == AVERAGE:
        return "Average"
    return f"{domain} ({_count(results['suite']['domains'][domain], 'clip')})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _columns(results: Results) -> list[str]:
    """Return what stands above the metrics' columns."""
    columns = []
    for name in _metrics(results):
        unit = "" if METRICS[name].quotient is None else " %"
        columns.append(f"{name}{unit} {'↑' if METRICS[name].is_higher_better else '↓'}")
    return columns


def _decimals(metric: str) -> int:
    """Return how many digits are worth printing; rates stand in results in percent."""
    decimals = METRICS[metric].decimals
    return decimals if METRICS[metric].quotient is None else decimals - 2


def _head(results: Results) -> Row:
    return ["system", "clips", "kbps", *_columns(results)]


def _score_rows(results: Results, domain: str, with_interval: bool) -> Iterator[Row]:
    metrics = _metrics(results)
    for system in results["systems"]:
        scores = system["scores"].get(domain, {})
        counts = [score["num_clips"] for score in scores.values()]
        rate = scores.get(BITRATE)
        yield [
            system["name"],
            str(max(counts, default=0)),
            MISSING if rate is None else f"{rate['mean'] / 1000:.{KBPS_DECIMALS}f}",
            *(_cell(scores.get(name), _decimals(name), with_interval) for name in metrics),
        ]


def _cell(
    score: Mapping[str, float] | None, decimals: int, with_interval: bool, sign: str = ""
) -> str:
    if score is None:
        return MISSING
    mean, low, high = (
        f"{score[name]:{sign}.{decimals}f}".replace("-", "−") for name in ("mean", "low", "high")
    )
    return f"{mean} [{low}, {high}]" if with_interval else mean


def _aligned(rows: Iterable[Row]) -> str:
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _markdown_table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _origin(results: Results) -> str:
    machine, versions = results["machine"], results["versions"]
    accelerator = f", {machine['accelerator']}" if "accelerator" in machine else ""
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Measured {results['date']} on {machine['processor']} ({machine['cores']} cores, "
        f"{machine['platform']}{accelerator}) with {packages}."
    )


def _reading(results: Results) -> str:
    parts = [HOW_TO_READ]
    if results["settings"]["recogniser"] is not None:
        parts.append(WER_NOTE.format(recogniser=results["settings"]["recogniser"]))
    if AVERAGE in _domains(results):
        averaged = averaged_domains(list(results["suite"]["domains"]))
        parts.append(AVERAGE_NOTE.format(domains=", ".join(averaged)))
    return "\n".join(parts)


def _score_sections(results: Results) -> Iterator[str]:
    for domain in _domains(results):
        rows = _score_rows(results, domain, with_interval=True)
        yield f"## {_title(results, domain)}\n\n{_markdown_table(_head(results), rows)}"


def _difference_sections(results: Results) -> Iterator[str]:
    metrics = _metrics(results)
    baselines = dict.fromkeys(entry["baseline"] for entry in results["differences"])
    for baseline in baselines:
        rows = []
        found = {
            (entry["system"], entry["domain"], entry["metric"]): entry
            for entry in results["differences"]
            if entry["baseline"] == baseline
        }
        for name, domain in dict.fromkeys((name, domain) for name, domain, _ in found):
            entries = [found.get((name, domain, metric)) for metric in metrics]
            cells = [
                _cell(entry, _decimals(metric), with_interval=True, sign="+")
                for metric, entry in zip(metrics, entries)
            ]
            num_clips = max(entry["num_clips"] for entry in entries if entry is not None)
            rows.append([name, domain, str(num_clips), *cells])
        head = ["system", "domain", "clips", *_columns(results)]
        yield (
            f"## Differences from {baseline}\n\nOn the clips that both have; an interval without 0 "
            f"is a difference that other clips would hardly undo.\n\n{_markdown_table(head, rows)}"
        )


def _details(results: Results) -> str:
    lines = []
    for system in results["systems"]:
        details = ", ".join(f"{name} {value}" for name, value in system["details"].items())
        spec = "" if system["spec"] == system["name"] else f" is `{system['spec']}`"
        lines.append(f"- **{system['name']}**{spec}" + (f": {details}" if details else ""))
    return "## Systems\n\n" + "\n".join(lines)


def _failure_count(system: Mapping[str, Any]) -> str:
    return (
        f"{system['name']} failed on {len(system['failures'])} of "
        f"{_count(system['num_clips'], 'clip')}"
    )


def _trouble_sections(results: Results) -> Iterator[str]:
    """Yield what a reader must know: nothing that went wrong is left out."""
    problems = results["suite"]["problems"]
    if problems:
        yield "## Problems of the suite\n\n" + "\n".join(f"- {text}" for text in problems)
    failed = [system for system in results["systems"] if system["failures"]]
    if failed:
        parts = ["## Failures", "Means are over the clips that did not fail."]
        for system in failed:
            lines = [f"- {entry['clip']}: {entry['error']}" for entry in system["failures"]]
            parts.append(f"{_failure_count(system)}:\n\n" + "\n".join(lines))
        yield "\n\n".join(parts)
    warned = [system for system in results["systems"] if system["warnings"]]
    if warned:
        yield "\n\n".join(["## Warnings", *map(_warnings, warned)])


def _warnings(system: Mapping[str, Any]) -> str:
    clips: dict[str, list[str]] = {}
    for entry in system["warnings"]:
        clips.setdefault(entry["warning"], []).append(entry["clip"])
    lines = []
    for text, names in clips.items():
        is_all = len(names) == system["num_clips"] > 1
        lines.append(f"- {text}: {'every clip' if is_all else ', '.join(names)}")
    return f"{system['name']}:\n\n" + "\n".join(lines)

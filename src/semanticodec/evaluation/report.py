"""Reconstruction results as Markdown, CSV and a table for the terminal: pure functions of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.summary import AVERAGE, BITRATE, averaged_domains
from semanticodec.evaluation.tables import csv_text, estimate, number, plain_table
from semanticodec.evaluation.tables import table as lines_of

Results = Mapping[str, Any]
Row = Sequence[str]

KBPS_DECIMALS = 3
# Of metrics in a table: families share one as long as they fit.
MAX_COLUMNS = 9
CSV_HEAD = ("system", "domain", "clip", "num_samples")

HOW_TO_READ = """\
- Every number is a mean over clips with its 95 % bootstrap interval in brackets, which is too \
narrow where there are only a few clips; ↑ means that higher is better, ↓ lower.
- MEL and STFT follow the definitions of DAC's evaluation. They are not on the scale of the \
paper's tables: compare their order with the paper's, never their values.
- `visqol_speech` (speech mode, 16 kHz) is the number to compare with the ViSQOL of the paper's \
Table II, in every domain; `visqol_audio` (audio mode, 48 kHz) is on another scale.
- kbps counts the bits that were spent on these clips, without container."""
AVERAGE_NOTE = """\
- The average is the mean of the domains {domains}; its interval draws clips inside each."""
POOLED_NOTE = """\
- No means, but of all words or frames of the clips together: {metrics}."""
WER_NOTE = """\
- WER is word errors per word of the transcripts, in percent, as `{recognizer}` finds them. \
Compare it with the same recognizer's number on the original recordings (the system \
`ground-truth`), not with numbers of another recognizer. A clip without a transcript is compared \
with what the recognizer hears in the original; the warnings name such clips."""


def clips_csv(results: Results) -> str:
    """Return one line per system and clip that was measured, with every number."""
    return csv_text(CSV_HEAD, results["clips"])


def table(results: Results) -> str:
    """Return the means for the terminal: a table per domain, and how many clips failed."""
    parts = []
    for domain in _domains(results):
        tables = [
            "\n".join(plain_table(_head(metrics), rows))
            for metrics, rows in _score_tables(results, domain, with_interval=False)
        ]
        parts.append(_title(results, domain) + "\n" + "\n\n".join(tables))
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


def _columns(metrics: Sequence[str]) -> list[str]:
    """Return what stands above the metrics' columns."""
    return [
        " ".join(filter(None, (name, METRICS[name].unit, _arrow(METRICS[name].is_higher_better))))
        for name in metrics
    ]


def _arrow(is_higher_better: bool) -> str:
    return "↑" if is_higher_better else "↓"


def _by_table(metrics: Sequence[str], measured: Collection[str]) -> list[list[str]]:
    """Return the metrics of every table: whole families that have a number in it."""
    families: dict[str, list[str]] = {}
    for name in metrics:
        families.setdefault(METRICS[name].family, []).append(name)
    tables: list[list[str]] = [[]]
    for names in families.values():
        if set(names).isdisjoint(measured):
            continue
        if tables[-1] and len(tables[-1]) + len(names) > MAX_COLUMNS:
            tables.append([])
        tables[-1] += names
    return tables


def _head(metrics: Sequence[str]) -> Row:
    return ["system", "clips", "kbps", *_columns(metrics)]


def _score_tables(
    results: Results, domain: str, with_interval: bool
) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """Yield the metrics and the rows of every table of a domain."""
    measured = {name for system in results["systems"] for name in system["scores"].get(domain, ())}
    for metrics in _by_table(_metrics(results), measured):
        yield metrics, _score_rows(results, domain, metrics, with_interval)


def _score_rows(
    results: Results, domain: str, metrics: Sequence[str], with_interval: bool
) -> Iterator[Row]:
    for system in results["systems"]:
        scores = system["scores"].get(domain, {})
        found = [(scores.get(name), METRICS[name].decimals) for name in metrics]
        rate = scores.get(BITRATE)
        yield [
            system["name"],
            str(max((score["num_clips"] for score in scores.values()), default=0)),
            number(None if rate is None else rate["mean"] / 1000, KBPS_DECIMALS),
            *(
                estimate(score, decimals)
                if with_interval
                else number(None if score is None else score["mean"], decimals)
                for score, decimals in found
            ),
        ]


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
    pooled = [name for name in _metrics(results) if METRICS[name].pooled is not None]
    if pooled:
        parts.append(POOLED_NOTE.format(metrics=", ".join(pooled)))
    recognizer = results["settings"]["models"].get("wer")
    if recognizer is not None:
        parts.append(WER_NOTE.format(recognizer=recognizer))
    if AVERAGE in _domains(results):
        averaged = averaged_domains(list(results["suite"]["domains"]))
        parts.append(AVERAGE_NOTE.format(domains=", ".join(averaged)))
    return "\n".join(parts)


def _score_sections(results: Results) -> Iterator[str]:
    for domain in _domains(results):
        tables = [
            "\n".join(lines_of(_head(metrics), rows))
            for metrics, rows in _score_tables(results, domain, with_interval=True)
        ]
        yield "\n\n".join([f"## {_title(results, domain)}", *tables])


def _difference_sections(results: Results) -> Iterator[str]:
    baselines = dict.fromkeys(entry["baseline"] for entry in results["differences"])
    for baseline in baselines:
        found = {
            (entry["system"], entry["domain"], entry["metric"]): entry
            for entry in results["differences"]
            if entry["baseline"] == baseline
        }
        text = "On the clips that both have; an interval without 0 is a difference that other "
        text += "clips would hardly undo."
        tables = [
            "\n".join(
                lines_of(
                    ["system", "domain", "clips", *_columns(metrics)],
                    _difference_rows(found, metrics),
                )
            )
            for metrics in _by_table(_metrics(results), {metric for _, _, metric in found})
        ]
        yield "\n\n".join([f"## Differences from {baseline}", text, *tables])


def _difference_rows(
    found: Mapping[tuple[str, str, str], Mapping[str, Any]], metrics: Sequence[str]
) -> Iterator[Row]:
    """Yield a row for every system and domain with one of the metrics."""
    places = dict.fromkeys((name, domain) for name, domain, metric in found if metric in metrics)
    for name, domain in places:
        entries = [found.get((name, domain, metric)) for metric in metrics]
        cells = [
            estimate(entry, METRICS[metric].decimals, sign="+")
            for metric, entry in zip(metrics, entries)
        ]
        num_clips = max(entry["num_clips"] for entry in entries if entry is not None)
        yield [name, domain, str(num_clips), *cells]


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
    skipped = results["settings"].get("skipped", {})
    if skipped:
        lines = [f"- {name}: {reason}" for name, reason in skipped.items()]
        yield "## Metrics that were skipped\n\n" + "\n".join(lines)
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

"""Measures how well systems reconstruct the clips of a suite: the paper's Section V-A.

suite x systems --processes--> OUT/clips.jsonl --> OUT/results.json, clips.csv, report.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from semanticodec.errors import ConfigError
from semanticodec.evaluation import report, systems
from semanticodec.evaluation.journal import Journal, Row
from semanticodec.evaluation.metrics import METRICS, Metrics, Resources
from semanticodec.evaluation.scoring import Scorer, Task, audio_path, file_name
from semanticodec.evaluation.statistics import NUM_RESAMPLES, SEED
from semanticodec.evaluation.suites import SPEECH, Clip, Suite
from semanticodec.evaluation.summary import summarize
from semanticodec.evaluation.systems import System
from semanticodec.evaluation.workers import WorkerCrash, run_tasks
from semanticodec.files import write_json, write_text
from semanticodec.progress import ProgressBar
from semanticodec.provenance import FORMAT, provenance, versions
from semanticodec.token_format import SAMPLE_RATE

RESULTS_NAME = "results.json"
RECONSTRUCTION = "reconstruction"  # kind of the results file
# What scores are computed by, beside the metrics' packages; torch, numpy and others round
# differently at most.
SCORING_PACKAGES = (
    *("semanticodec", "pocketsphinx", "transformers"),
    *("faster-whisper", "ctranslate2", "onnxruntime", "librosa"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to measure.

    Attributes:
        metrics: names from `metrics.METRICS` or of their families; None: all that can be computed
            here.
        recognizer: speech recognizer for `wer`; see `metrics.recognizers`.
        speaker_model: folder or Hub id for `speaker_similarity`; see `metrics.speaker`.
        baselines: names of the systems that the others are compared with; empty: the first.
        jobs: number of worker processes.
        threads: CPU threads of each.
        device: device where models compute.
        save_audio: folder for reconstructions, as SAVE_AUDIO/SYSTEM/CLIP.flac; None: nowhere.
        overwrite: whether to forget what the output folder holds instead of resuming.
        show_progress: whether to draw a bar.
    """

    metrics: tuple[str, ...] | None = None
    recognizer: str | None = None
    speaker_model: str | None = None
    baselines: tuple[str, ...] = ()
    jobs: int = 1
    threads: int = 1
    device: str = "cpu"
    save_audio: Path | None = None
    overwrite: bool = False
    show_progress: bool = False


@dataclass(frozen=True, kw_only=True)
class SystemEntry:
    """A system that takes part.

    Attributes:
        opener: specification that opens it.
        described: `name`, `spec` and `details` in reports.
    """

    opener: str
    described: dict[str, Any]

    @property
    def name(self) -> str:
        """Name in reports."""
        return self.described["name"]


def evaluate(
    suite: Suite,
    specs: Sequence[str],
    out: Path,
    settings: Settings,
    *,
    open_system: Callable[..., System] = systems.open_system,
) -> dict[str, Any]:
    """Score every system on every clip, write the reports and return the results.

    The same call resumes an interrupted run, and tries again what failed. Systems and
    clips may be added to a folder; whatever else changes needs another one. The work is done in
    processes that are started anew: scripts call this below `if __name__ == "__main__":`.

    Args:
        suite: the clips.
        specs: the systems, as `open_system` takes them.
        out: folder of the results.
        settings: settings of the measurement.
        open_system: opens a spec, with `threads` and `device`; picklable.
    Returns:
        The content of `results.json`; clips that failed are named there under their system.
    Raises:
        ConfigError: a system that does not exist, two with one name, or results in `out` that were
            measured in another way.
        MissingDependencyError: a system or metric needs what is not installed.
    """
    open_spec = partial(open_system, threads=settings.threads, device=settings.device)
    resources = Resources(
        recognizer=settings.recognizer,
        speaker_model=settings.speaker_model,
        device=settings.device,
    )
    metrics = Metrics(settings.metrics, resources)
    _warm_up(metrics)
    names = [metric.name for metric in metrics.metrics]
    entries = _entries(specs, open_spec)
    baselines = _baselines(entries, settings.baselines)
    journal = Journal(out, _recorded(suite, entries, metrics, settings.device), settings.overwrite)
    make_work = partial(Scorer, partial(Metrics, names, resources), open_spec, settings.save_audio)
    tasks = list(_tasks(suite, entries))
    _work(make_work, tasks, journal, settings)
    rows = [row for task in tasks if (row := journal.row(task.system, task.clip.name)) is not None]
    assert len(rows) == len(tasks)
    described = [entry.described for entry in entries]
    results = {
        **_origin(suite, metrics, settings.device),
        **summarize(rows, described, baselines, names, list(suite.domains)),
    }
    write_json(out / RESULTS_NAME, results)
    write_text(out / "clips.csv", report.clips_csv(results))
    write_text(out / "report.md", report.markdown(results))
    return results


def num_failures(results: dict[str, Any]) -> int:
    """Return how many pairs of system and clip failed."""
    return sum(len(system["failures"]) for system in results["systems"])


def _origin(suite: Suite, metrics: Metrics, device: str) -> dict[str, Any]:
    """Return what results say of how they were measured."""
    return {
        "format": FORMAT,
        "kind": RECONSTRUCTION,
        **provenance(*_packages()),
        "suite": {
            "name": suite.name,
            "domains": suite.domains,
            "problems": list(suite.problems),
        },
        "settings": {
            "metrics": [metric.name for metric in metrics.metrics],
            "skipped": metrics.skipped,
            "models": metrics.models,
            "device": device,
            "bootstrap_samples": NUM_RESAMPLES,
            "seed": SEED,
        },
    }


def _packages() -> list[str]:
    packages = [metric.package for metric in METRICS.values() if metric.package is not None]
    return list(dict.fromkeys(packages))


def _warm_up(metrics: Metrics) -> None:
    """Measure a second of noise, so that missing weights are reported before hours of work."""
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    clip = Clip(name="noise", domain=SPEECH, path=Path("noise"), transcript="noise", language="en")
    metrics.score(noise, noise, clip)


def _entries(specs: Sequence[str], open_spec: Callable[[str], System]) -> list[SystemEntry]:
    found: dict[str, SystemEntry] = {}
    for opener in specs:
        system = open_spec(opener)
        key = file_name(system.name).lower()
        if key in found:
            raise ConfigError(
                f"the systems {found[key].opener} and {opener} are both called {system.name}; "
                "add name=LABEL to one"
            )
        described = {"name": system.name, "spec": system.spec, "details": dict(system.details)}
        found[key] = SystemEntry(opener=opener, described=described)
    if not found:
        raise ConfigError("no system was given; add one with --system")
    return list(found.values())


def _baselines(entries: Sequence[SystemEntry], wanted: Sequence[str]) -> list[str]:
    names = [entry.name for entry in entries]
    known = {
        text: entry.name
        for entry in entries
        for text in (entry.described["spec"], entry.opener, entry.name)
    }
    for baseline in wanted:
        if baseline not in known:
            raise ConfigError(
                f"the baseline {baseline} is none of the systems; choose from {', '.join(names)}"
            )
    return list(dict.fromkeys(known[baseline] for baseline in wanted)) or names[:1]


def _recorded(
    suite: Suite, entries: Sequence[SystemEntry], metrics: Metrics, device: str
) -> dict[str, dict[str, Any]]:
    """Return everything that the rows depend on."""
    installed = versions(*_packages())
    return {
        "setting": {
            "metrics": sorted(metric.name for metric in metrics.metrics),
            "models": metrics.models,
            "device": device,
        },
        "version of": {name: installed.get(name) for name in (*SCORING_PACKAGES, *_packages())},
        "clip": {clip.name: _fingerprint(clip) for clip in suite.clips},
        "system": {entry.name: entry.described for entry in entries},
    }


def _fingerprint(clip: Clip) -> str:
    digest = hashlib.blake2b(digest_size=8)
    # A clip that cannot be read fails later, by name.
    digest.update(clip.path.read_bytes() if clip.path.is_file() else b"")
    digest.update(f"{clip.domain}\n{clip.transcript}\n{clip.language}".encode())
    return digest.hexdigest()


def _tasks(suite: Suite, entries: Sequence[SystemEntry]) -> Iterator[Task]:
    # One system after the other: a process then holds one model and loads it once.
    for entry in entries:
        for clip in suite.clips:
            yield Task(system=entry.name, spec=entry.opener, clip=clip)


def _is_done(task: Task, journal: Journal, save_audio: Path | None) -> bool:
    row = journal.row(task.system, task.clip.name)
    if row is None or "error" in row:
        return False
    return save_audio is None or audio_path(save_audio, task).is_file()


def _work(
    make_work: Callable[[], Callable[[Task], Row]],
    tasks: Sequence[Task],
    journal: Journal,
    settings: Settings,
) -> None:
    """Measure what the journal lacks, and keep every row as soon as it is there."""
    waiting = [task for task in tasks if not _is_done(task, journal, settings.save_audio)]
    failures = 0
    jobs = min(settings.jobs, max(1, len(waiting)))
    outcomes = run_tasks(make_work, waiting, jobs=jobs, threads=settings.threads)
    bar = ProgressBar(
        total=len(tasks),
        done=len(tasks) - len(waiting),
        unit="clip",
        shown=settings.show_progress,
    )
    with closing(outcomes), bar:
        for task, outcome in outcomes:
            is_crash = isinstance(outcome, WorkerCrash)
            row = {**task.failed_row, "error": outcome.reason} if is_crash else outcome
            journal.append(row)
            failures += "error" in row
            bar.show(label=task.system, note=f"{failures} failed" if failures else None)
            bar.update()

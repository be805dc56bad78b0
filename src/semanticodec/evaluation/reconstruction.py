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

from semanticodec.audio.io import SAMPLE_RATE
from semanticodec.errors import ConfigError
from semanticodec.evaluation import report, systems
from semanticodec.evaluation.bench import Bench, Task, audio_path, file_name
from semanticodec.evaluation.journal import Journal, Row
from semanticodec.evaluation.metrics import Metrics
from semanticodec.evaluation.statistics import NUM_RESAMPLES, SEED
from semanticodec.evaluation.suites import Clip, Suite
from semanticodec.evaluation.summary import summarise
from semanticodec.evaluation.systems import System
from semanticodec.evaluation.workers import Death, run_tasks
from semanticodec.files import write_json, write_text
from semanticodec.provenance import FORMAT, provenance, versions

DEFAULT_METRICS = ("mel", "stft", "visqol_speech", "visqol_audio", "stoi")
RESULTS_NAME = "results.json"
RECONSTRUCTION = "reconstruction"  # kind of the results file
# What scores are computed by; torch, numpy and others round differently at most.
SCORING_PACKAGES = (
    *("semanticodec", "visqol-python", "pystoi", "jiwer", "pocketsphinx", "transformers"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to measure.

    Attributes:
        metrics: names of `metrics.METRICS`.
        recogniser: what writes down speech for `wer`; see `metrics`.
        baselines: names of the systems that the others are compared with; empty: the first.
        jobs: worker processes.
        threads: CPU threads of each.
        device: where models compute.
        save_audio: keep reconstructions as SAVE_AUDIO/SYSTEM/CLIP.flac.
        overwrite: forget what the output folder holds instead of going on with it.
        show_progress: draw a bar.
    """

    metrics: tuple[str, ...] = DEFAULT_METRICS
    recogniser: str | None = None
    baselines: tuple[str, ...] = ()
    jobs: int = 1
    threads: int = 1
    device: str = "cpu"
    save_audio: Path | None = None
    overwrite: bool = False
    show_progress: bool = False


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A system that takes part: what opens it, and what reports say of it."""

    name: str
    opener: str
    spec: str
    details: dict[str, Any]


def evaluate(
    suite: Suite,
    specs: Sequence[str],
    out: Path,
    settings: Settings,
    *,
    open_system: Callable[..., System] = systems.open_system,
) -> dict[str, Any]:
    """Score every system on every clip, write the reports and return the results.

    The same call goes on with a run that was stopped, and tries again what failed. Systems and
    clips may be added to a folder; whatever else changes needs another one. The work is done in
    processes that are started anew: scripts call this below `if __name__ == "__main__":`.

    Args:
        suite: the clips.
        specs: the systems, as `open_system` takes them.
        out: folder of the results.
        settings: how to measure.
        open_system: opens a spec, with `threads` and `device`; picklable.
    Returns:
        The content of `results.json`; clips that failed are named there under their system.
    Raises:
        ConfigError: a system that does not exist, two with one name, or results in `out` that were
            measured in another way.
        MissingDependencyError: a system or metric needs what is not installed.
    """
    open_spec = partial(open_system, threads=settings.threads, device=settings.device)
    open_metrics = partial(
        Metrics, settings.metrics, recogniser=settings.recogniser, device=settings.device
    )
    recogniser = _rehearse(open_metrics())
    contestants = _contestants(specs, open_spec)
    baselines = _baselines(contestants, settings.baselines)
    journal = Journal(out, _recorded(suite, contestants, recogniser, settings), settings.overwrite)
    tasks = list(_tasks(suite, contestants))
    open_tasks = [task for task in tasks if not _is_done(task, journal, settings.save_audio)]
    make_work = partial(Bench, open_metrics, open_spec, settings.save_audio)
    _work(make_work, open_tasks, len(tasks), journal, settings)
    results = _results(suite, contestants, baselines, recogniser, journal, settings)
    write_json(out / RESULTS_NAME, results)
    write_text(out / "clips.csv", report.clips_csv(results))
    write_text(out / "report.md", report.markdown(results))
    return results


def num_failures(results: dict[str, Any]) -> int:
    """Return how many pairs of system and clip failed."""
    return sum(len(system["failures"]) for system in results["systems"])


def _rehearse(metrics: Metrics) -> str | None:
    """Load a recogniser's weights: if they are missing, that is said before hours of work.

    Returns:
        What reports call the recogniser; None without one.
    """
    if metrics.recogniser is None:
        return None
    metrics.recogniser.transcribe(np.zeros(SAMPLE_RATE, dtype=np.float32))
    return metrics.recogniser.name


def _contestants(specs: Sequence[str], open_spec: Callable[[str], System]) -> list[Contestant]:
    found: dict[str, Contestant] = {}
    for opener in specs:
        system = open_spec(opener)
        key = file_name(system.name).lower()
        if key in found:
            raise ConfigError(
                f"the systems {found[key].opener} and {opener} are both called {system.name}; "
                f"add ,name=LABEL to one"
            )
        found[key] = Contestant(
            name=system.name, opener=opener, spec=system.spec, details=dict(system.details)
        )
    if not found:
        raise ConfigError("no system was given; add one with --system")
    return list(found.values())


def _baselines(contestants: Sequence[Contestant], wanted: Sequence[str]) -> list[str]:
    names = [contestant.name for contestant in contestants]
    by_spec = {text: c.name for c in contestants for text in (c.spec, c.opener, c.name)}
    for baseline in wanted:
        if baseline not in by_spec:
            raise ConfigError(
                f"the baseline {baseline} is none of the systems; choose from {', '.join(names)}"
            )
    return list(dict.fromkeys(by_spec[baseline] for baseline in wanted)) or names[:1]


def _recorded(
    suite: Suite, contestants: Sequence[Contestant], recogniser: str | None, settings: Settings
) -> dict[str, dict[str, Any]]:
    """Return everything that the rows depend on."""
    installed = versions()
    return {
        "setting": {
            "metrics": sorted(settings.metrics),
            "recogniser": recogniser,
            "device": settings.device,
        },
        "version of": {name: installed.get(name) for name in SCORING_PACKAGES},
        "clip": {clip.name: _fingerprint(clip) for clip in suite.clips},
        "system": {c.name: {"spec": c.spec, "details": c.details} for c in contestants},
    }


def _fingerprint(clip: Clip) -> str:
    digest = hashlib.blake2b(digest_size=8)
    # A clip that cannot be read fails later, by name.
    digest.update(clip.path.read_bytes() if clip.path.is_file() else b"")
    digest.update(f"{clip.domain}\n{clip.transcript}\n{clip.language}".encode())
    return digest.hexdigest()


def _tasks(suite: Suite, contestants: Sequence[Contestant]) -> Iterator[Task]:
    # One system after the other: a process then holds one model and loads it once.
    for contestant in contestants:
        for clip in suite.clips:
            yield Task(system=contestant.name, spec=contestant.opener, clip=clip)


def _is_done(task: Task, journal: Journal, save_audio: Path | None) -> bool:
    row = journal.row(task.system, task.clip.name)
    if row is None or "error" in row:
        return False
    return save_audio is None or audio_path(save_audio, task).is_file()


def _work(
    make_work: Callable[[], Callable[[Task], Row]],
    tasks: Sequence[Task],
    num_tasks: int,
    journal: Journal,
    settings: Settings,
) -> None:
    from tqdm import tqdm

    failures = 0
    jobs = min(settings.jobs, max(1, len(tasks)))
    outcomes = run_tasks(make_work, tasks, jobs=jobs, threads=settings.threads)
    bar = tqdm(
        total=num_tasks,
        initial=num_tasks - len(tasks),
        unit="clip",
        disable=not settings.show_progress,
    )
    with closing(outcomes), bar:
        for task, outcome in outcomes:
            is_dead = isinstance(outcome, Death)
            row = {**task.failed_row, "error": outcome.reason} if is_dead else outcome
            journal.append(row)
            failures += "error" in row
            bar.set_description(task.system, refresh=False)
            if failures:
                bar.set_postfix_str(f"{failures} failed", refresh=False)
            bar.update()


def _results(
    suite: Suite,
    contestants: Sequence[Contestant],
    baselines: Sequence[str],
    recogniser: str | None,
    journal: Journal,
    settings: Settings,
) -> dict[str, Any]:
    rows = [journal.row(task.system, task.clip.name) for task in _tasks(suite, contestants)]
    measured = [row for row in rows if row is not None]
    assert len(measured) == len(rows)
    described = [{"name": c.name, "spec": c.spec, "details": c.details} for c in contestants]
    return {
        "format": FORMAT,
        "kind": RECONSTRUCTION,
        **provenance(),
        "suite": {
            "name": suite.name,
            "domains": suite.domains,
            "problems": list(suite.problems),
        },
        "settings": {
            "metrics": list(settings.metrics),
            "recogniser": recogniser,
            "device": settings.device,
            "bootstrap_samples": NUM_RESAMPLES,
            "seed": SEED,
        },
        **summarise(measured, described, baselines, settings.metrics, list(suite.domains)),
    }

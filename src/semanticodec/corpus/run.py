"""A whole corpus, from its sources to files that training reads; a run that was stopped goes on.

sources -> plan.jsonl -> shards, in threads or on a cluster -> shards.jsonl -> dataset.json
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from semanticodec.codec import SemantiCodec
from semanticodec.corpus.cluster import ClusterChoice, run_on_cluster
from semanticodec.corpus.description import DESCRIPTION_NAME, write_description
from semanticodec.corpus.formats import formats_named
from semanticodec.corpus.item import WorkItem
from semanticodec.corpus.journal import CorpusJournal, ShardDone, remove_unfinished
from semanticodec.corpus.plan import (
    ShardLimits,
    ShardPlace,
    extend_plan,
    read_places,
    read_shard,
    write_plan,
)
from semanticodec.corpus.sources import STDIN, list_items
from semanticodec.corpus.threads import run_in_threads
from semanticodec.corpus.worker import ModelChoice, ShardMaker
from semanticodec.errors import DataError
from semanticodec.runs import SETTINGS_NAME, claim, locked
from semanticodec.token_format import SAMPLE_RATE

REMEDY = "give another --output"
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class CorpusChoice:
    """What to make of which recordings, and how.

    Attributes:
        sources: see `sources.list_items`.
        folder: output folder.
        formats: names of `FORMATS`.
        model: model that encodes.
        limits: size of a shard.
        jobs: number of workers; None for one per core, or per GPU where there are any.
        address: of a Ray cluster; None for threads of this process.
        max_errors: number of recordings that may fail before the run stops; None for all.
        retry_errors: whether recordings that failed earlier are tried again.
    """

    sources: Sequence[str]
    folder: Path
    formats: Sequence[str]
    model: ModelChoice = field(default_factory=ModelChoice)
    limits: ShardLimits = field(default_factory=ShardLimits)
    jobs: int | None = None
    address: str | None = None
    max_errors: int | None = None
    retry_errors: bool = False


@dataclass(kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        num_planned: recordings that this run has to do.
        num_done: recordings that it has done, those that failed among them.
        num_failed: recordings that failed in it.
        num_samples: samples at 16 kHz of the recordings that it has encoded.
        num_heard: samples at 16 kHz that it has encoded, those of unfinished and of failed
            recordings among them.
        started_at: `time.monotonic()` of its start.
    """

    num_planned: int = 0
    num_done: int = 0
    num_failed: int = 0
    num_samples: int = 0
    num_heard: int = 0
    started_at: float = field(default_factory=time.monotonic)

    @property
    def hours(self) -> float:
        """Hours of sound encoded."""
        return self.num_samples / SAMPLE_RATE / SECONDS_PER_HOUR

    @property
    def heard_s(self) -> float:
        """Seconds of sound encoded so far, those of unfinished recordings among them."""
        return self.num_heard / SAMPLE_RATE

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_at

    @property
    def hours_per_hour(self) -> float:
        """Hours of sound encoded in an hour."""
        return self.hours / max(self.elapsed_s, 1e-9) * SECONDS_PER_HOUR


def tokenize(
    choice: CorpusChoice, watch: Callable[[Progress], object] = lambda progress: None
) -> Progress:
    """Write a corpus, or what is missing of it, and return what this run has done.

    Args:
        choice: what to make.
        watch: called after every window and every recording; on a cluster after every shard.
    Raises:
        ConfigError: the folder holds a corpus of other settings, or another run works on it.
        DataError: sources that cannot be used, or more errors than allowed.
        OutputError: a file cannot be written; what is finished stays.
    """
    formats = formats_named(choice.formats)
    with locked(choice.folder):
        if not (choice.folder / SETTINGS_NAME).is_file():
            write_plan(choice.folder, list_items(choice.sources, sys.stdin), choice.limits)
        codec = _model(choice)
        settings = _settings(choice, codec)
        claim(choice.folder, settings, remedy=REMEDY)
        journal = CorpusJournal(choice.folder)
        if choice.retry_errors:
            _plan_retries(choice, journal)
        places = _unfinished(choice, journal)
        progress = Progress(num_planned=sum(place.num_items for place in places))
        watch(progress)
        num_failed = 0  # of finished shards, whose reasons are on disk
        if places:
            for done in _shards(choice, codec, places, progress, watch):
                journal.append(done)
                num_failed += len(done.failures)
                _check_errors(choice, num_failed)
        journal.tidy()
        write_description(
            choice.folder,
            model=choice.model.source or "built-in",
            fingerprint=codec.model_fingerprint,
            format=codec.format,
            formats=choice.formats,
            settings=settings,
            shards=journal.shards(),
            joined=[path for format in formats for path in format.finish(choice.folder)],
        )
        return progress


def _model(choice: CorpusChoice) -> SemantiCodec:
    """Return the model that threads share; on a cluster only its name is needed here."""
    is_here = choice.address is None
    return (choice.model if is_here else replace(choice.model, device="cpu")).load()


def _settings(choice: CorpusChoice, codec: SemantiCodec) -> dict[str, Any]:
    """Return what the corpus depends on."""
    return {
        "sources": [each if each == STDIN else os.path.abspath(each) for each in choice.sources],
        "formats": sorted(choice.formats),
        "shard": choice.limits,
        "model": {
            "fingerprint": codec.model_fingerprint.hex(),
            "token_rate": codec.token_rate,
            "semantic_vocab_size": codec.semantic_vocab_size,
        },
    }


def _plan_retries(choice: CorpusChoice, journal: CorpusJournal) -> None:
    """Plan new shards of the recordings that failed, but for those that a shard still waits for."""
    finished = {line["shard"] for line in journal.shards()}
    failed = {line["id"] for line in journal.failures()}
    items: dict[str, WorkItem] = {}
    for place in read_places(choice.folder) if failed else ():
        for item in read_shard(choice.folder, place):
            if place.shard not in finished:
                failed.discard(item.id)
            elif item.id in failed:
                items[item.id] = item
    again = [item for name, item in items.items() if name in failed]
    if again:
        extend_plan(choice.folder, again, choice.limits)


def _unfinished(choice: CorpusChoice, journal: CorpusJournal) -> list[ShardPlace]:
    """Return the shards to make, and remove what is left of those that were begun."""
    finished, files = set(), []
    for line in journal.shards():
        finished.add(line["shard"])
        files += line["files"]
    places = [place for place in read_places(choice.folder) if place.shard not in finished]
    if places:
        (choice.folder / DESCRIPTION_NAME).unlink(missing_ok=True)
        remove_unfinished(choice.folder, choice.formats, files)
    return places


def _shards(
    choice: CorpusChoice,
    codec: SemantiCodec,
    places: Sequence[ShardPlace],
    progress: Progress,
    watch: Callable[[Progress], object],
) -> Iterator[ShardDone]:
    if choice.address is not None:
        cluster = ClusterChoice(address=choice.address, jobs=choice.jobs)
        for done in run_on_cluster(choice.model, choice.folder, choice.formats, places, cluster):
            progress.num_done += len(done.ids) + len(done.failures)
            progress.num_failed += len(done.failures)
            progress.num_samples += done.num_samples
            progress.num_heard += done.num_samples
            watch(progress)
            yield done
        return

    turn = threading.Lock()

    def told(num_samples: int) -> None:
        with turn:
            progress.num_done += 1
            progress.num_failed += num_samples == 0
            progress.num_samples += num_samples
            watch(progress)

    def heard(num_samples: int) -> None:
        with turn:
            progress.num_heard += num_samples
            watch(progress)

    maker = ShardMaker(
        codec=codec, folder=choice.folder, formats=choice.formats, told=told, heard=heard
    )
    yield from run_in_threads(maker.make, places, choice.jobs or _num_workers(codec))


def _num_workers(codec: SemantiCodec) -> int:
    """Return the cores that this process may use; 1 where a GPU does the work."""
    if codec.device.type != "cpu":
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_errors(choice: CorpusChoice, num_failed: int) -> None:
    if choice.max_errors is not None and num_failed > choice.max_errors:
        raise DataError(
            f"{num_failed} recordings failed, more than the {choice.max_errors} allowed; "
            f"{choice.folder / 'errors.jsonl'} has the reasons. The same command goes on"
        )

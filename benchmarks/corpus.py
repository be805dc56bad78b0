"""`semanticodec tokenize` against the model alone: speed and memory, with and without neighbors.

    python -m benchmarks.corpus                          2 hours of sound, 1 and 2 workers
    python -m benchmarks.corpus --minutes 12 --jobs 2 --neighbors 1

Most of the sound is in clips of 0.5 to 20 s, a quarter in long recordings. The model alone encodes
windows that are in memory, in as many processes as there are workers and one thread each, before
and after the command: so much of a machine is there to be had at the time. Neighbors are processes
that multiply matrices all the while. Cores over time, in tenths of the command, tell whether all
workers are busy to the end. The sound is synthetic.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import add_common_options, written_json
from benchmarks.neighbors import add_neighbors_option, busy_neighbors
from benchmarks.process import MEGABYTE, CommandError, cpu_seconds
from benchmarks.sound import sound_blocks, write_sound
from semanticodec.benchmark.sound import synthesize
from semanticodec.evaluation.tables import plain_table
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES

GOAL = 0.9  # speed of the command over that of the model alone
LONG_SHARE, LONGEST_LONG_S = 0.25, 1200.0
REFERENCE_S = 20.0
POLL_S = 1.0
SHARD_SIZE = 100
CURVE_POINTS = 10


def write_corpus(folder: Path, seconds: float) -> None:
    """Write clips and long recordings of `seconds` in all."""
    rng = np.random.default_rng(0)
    lengths, remaining = [], seconds * (1 - LONG_SHARE)
    while remaining > 0:
        lengths.append(float(np.clip(rng.lognormal(1.5, 0.7), 0.5, 20)))
        remaining -= lengths[-1]
    for number, length in enumerate(lengths):
        wav = synthesize(round(length * SAMPLE_RATE), number)
        write_sound(folder / f"clip{number:05}.wav", [wav])
    num_long = math.ceil(seconds * LONG_SHARE / LONGEST_LONG_S)
    for number in range(num_long):
        blocks = sound_blocks(seconds * LONG_SHARE / num_long)
        write_sound(folder / f"long{number:05}.wav", blocks)


def model_rate(model: str | None) -> float:
    """Return seconds of sound that this process encodes per second, with one thread."""
    import torch

    from semanticodec import SemantiCodec

    torch.set_num_threads(1)
    codec = SemantiCodec.from_pretrained(model)
    windows = [synthesize(WINDOW_SAMPLES, seed) for seed in range(8)]
    codec.encode(windows)
    start, num_done = time.perf_counter(), 0
    while time.perf_counter() - start < REFERENCE_S:
        codec.encode(windows)
        num_done += len(windows)
    return num_done * WINDOW_SAMPLES / SAMPLE_RATE / (time.perf_counter() - start)


def reference(model: str | None, jobs: int) -> float:
    """Return seconds of sound per second of as many processes at a time."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        return sum(pool.map(model_rate, [model] * jobs))


def tokenize(source: Path, model: str | None, jobs: int) -> dict[str, Any]:
    """Return the seconds, CPU seconds and memory of one run of the command."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["tokenize", str(source), "-o", f"{folder}/out", "--format", "parquet", "-q"]
        words += ["--jobs", str(jobs), "--shard-size", str(SHARD_SIZE)]
        words += [] if model is None else ["--model", model]
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "semanticodec", *words])
        with _watched(process.pid) as samples:
            _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise CommandError(f"semanticodec {' '.join(words)} failed ({status})")
        return {
            "seconds": time.perf_counter() - start,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_memory_mb": max(sample.size_mb for sample in samples),
            **_curves(samples),
        }


class _Sample(NamedTuple):
    """What a process holds and has computed at a moment."""

    seconds: float
    size_mb: float
    cpu_seconds: float


def _curves(samples: list[_Sample]) -> dict[str, Any]:
    """Return memory and cores in use over time, at `CURVE_POINTS` moments."""
    places = np.linspace(0, len(samples) - 1, CURVE_POINTS + 1).round().astype(int)
    points = [samples[place] for place in dict.fromkeys(places)]
    return {
        "memory_curve_mb": [round(point.size_mb) for point in points],
        "cores_curve": [
            round((after.cpu_seconds - before.cpu_seconds) / (after.seconds - before.seconds), 2)
            for before, after in itertools.pairwise(points)
        ],
    }


@contextmanager
def _watched(pid: int) -> Iterator[list[_Sample]]:
    """Give a list that grows by what a process holds and has computed, once a second."""
    samples: list[_Sample] = []
    is_done = threading.Event()

    def watch() -> None:
        while not is_done.wait(POLL_S):
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                computed_s = cpu_seconds(pid)
            except (OSError, IndexError):
                return
            size_mb = pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE
            samples.append(_Sample(time.perf_counter(), size_mb, computed_s))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        is_done.set()
        thread.join()


def measure(source: Path, seconds: float, jobs: int, model: str | None) -> dict[str, Any]:
    """Return the figures of one number of workers."""
    before = reference(model, jobs)
    figures = tokenize(source, model, jobs)
    after = reference(model, jobs)
    rate = seconds / figures["seconds"]
    return {
        "jobs": jobs,
        "sound_seconds": seconds,
        **figures,
        "times_real_time": rate,
        "times_real_time_of_cpu": seconds / figures["cpu_seconds"],
        "model_times_real_time": [before, after],
        "ratio": rate / ((before + after) / 2),
    }


def table_row(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one number of workers."""
    before, after = row["model_times_real_time"]
    return (
        f"{row['jobs']}",
        "yes" if row["ratio"] >= GOAL else "no",
        f"{row['times_real_time']:.1f}",
        f"{before:.1f}, {after:.1f}",
        f"{row['ratio']:.2f}",
        f"{row['times_real_time_of_cpu']:.1f}",
        f"{row['peak_memory_mb']:.0f}",
        " ".join(map(str, row["memory_curve_mb"])),
        " ".join(map(str, row["cores_curve"])),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=120.0, metavar="M", help="sound in all")
    parser.add_argument(
        "--jobs", type=int, nargs="+", default=(1, 2), metavar="N", help="numbers of workers"
    )
    add_neighbors_option(parser)
    add_common_options(parser)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, busy_neighbors(args.neighbors):
        write_corpus(Path(folder), 60 * args.minutes)
        rows = [measure(Path(folder), 60 * args.minutes, jobs, args.model) for jobs in args.jobs]
    header = ("workers", "within 10 %", "× real time", "model alone, before and after", "ratio")
    header += ("× real time of CPU", "peak MB", "memory over time, MB", "cores over time")
    text = "\n".join(plain_table(header, [table_row(row) for row in rows], num_text_columns=2))
    sys.stdout.write(text + "\n")
    results = {"goal_ratio": GOAL, "neighbors": args.neighbors, "runs": rows}
    written_json(args, "corpus", results)


if __name__ == "__main__":
    main()

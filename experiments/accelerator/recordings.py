"""Packs -> WAV files of 16 kHz on the machine's own disk, decoded once by all cores.

A window is then read in a millisecond instead of ten, by stages that have no time to wait.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile

from semanticodec.errors import AudioError
from semanticodec.files import atomic_path
from semanticodec.token_format import SAMPLE_RATE
from semanticodec.training.reader import read_recording
from semanticodec.training.sources import AudioEntry, find_entries


def unpack(parts: Sequence[Path], out: Path, *, num_jobs: int) -> int:
    """Decode what is not there yet; returns how many recordings there are.

    Args:
        parts: folders with a shard per domain.
        out: folder of the recordings, by domain.
        num_jobs: threads; decoding needs no Python.
    """
    tasks = [
        (entry, out / entry.domain / f"{part.name}_{_name(entry)}.wav")
        for part in parts
        for entry in find_entries((part,))
    ]
    for folder in {target.parent for _, target in tasks}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(num_jobs) as pool:
        return sum(pool.map(lambda task: _decode(*task), tasks))


def _name(entry: AudioEntry) -> str:
    return f"{Path(entry.path).stem}_{entry.offset}"


def _decode(entry: AudioEntry, target: Path) -> bool:
    if target.exists():
        return True
    try:
        samples = read_recording(entry)
    except AudioError as error:
        print(f"left out: {error}", file=sys.stderr)
        return False
    with atomic_path(target) as partial:
        soundfile.write(os.fspath(partial), samples, SAMPLE_RATE, "PCM_16", format="WAV")
    return True

"""The real command in a fresh process: its seconds and the most memory it held.

Standard library only, so that a script that measures start-up is itself light.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.02
MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a process took.

    Attributes:
        seconds: seconds by the wall clock, from its start to its end.
        cpu_seconds: CPU seconds of all its threads.
        peak_mb: largest resident set, in 10^6 bytes.
        stderr: what it said there.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    stderr: str


class CommandError(Exception):
    """A command that was to be measured has failed."""


def run_python(
    words: Sequence[str | os.PathLike[str]], environment: Mapping[str, str] | None = None
) -> Finished:
    """Run this Python with arguments and wait.

    Args:
        words: such as `-m semanticodec --help`.
        environment: variables beside those of this process.
    Raises:
        CommandError: it failed.
    """
    command = [sys.executable, *(str(word) for word in words)]
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        watcher = _MemoryWatcher(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        stderr = errors.read().decode(errors="replace")
    if process.returncode:
        raise CommandError(f"{' '.join(command)} failed ({process.returncode}): {stderr.strip()}")
    largest = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
    return Finished(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=watcher.finish(largest) / MEGABYTE,
        stderr=stderr,
    )


def run_command(*words: str | os.PathLike[str], threads: int | None = None) -> Finished:
    """Run `semanticodec` with arguments and wait.

    Args:
        words: command and arguments.
        threads: number of CPU threads (None: as many as the command takes by itself).
    Raises:
        CommandError: it failed.
    """
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return run_python(("-m", "semanticodec", *words), environment)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a running process until now, on Linux.

    Raises:
        OSError: no such process, or another system.
    """
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


class _MemoryWatcher:
    """Follows a child's largest resident set on Linux.

    What `wait4` tells includes the parent's memory at the moment of the start: a parent that has
    loaded torch would hide a light child.
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._largest: int | None = None
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._is_done.wait(POLL_S):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            for line in lines:
                if line.startswith("VmHWM:"):
                    self._largest = int(line.split()[1]) * 1024

    def finish(self, otherwise: int) -> int:
        """Return the largest size that was seen in bytes, or `otherwise` where none was."""
        self._is_done.set()
        self._thread.join()
        return otherwise if self._largest is None else self._largest

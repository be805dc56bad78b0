"""Systems that fail in every way; spawned processes can import them."""

import os
import signal
from pathlib import Path

import numpy as np
import soundfile

from semanticodec.errors import ConfigError, DataError
from semanticodec.evaluation.systems import Reconstruction, System, open_system, parse_spec


def run_here(make_work, tasks, *, jobs, threads):
    """Stand in for `run_tasks` without the time that processes take to start."""
    work = make_work()
    for task in tasks:
        yield task, work(task)


class Faulty(System):
    """Halves the volume, except for clips whose name says otherwise; notes each call in a file."""

    def process(self, wav, clip):
        log = os.environ.get("FAULTY_LOG")
        if log:
            with open(log, "a") as file:
                file.write(f"{self.name} {clip.name}\n")
        if "refused" in clip.name:
            raise DataError("this clip is not to its taste")
        if "crash" in clip.name:
            raise ZeroDivisionError("a bug of the codec")
        if "killed" in clip.name:
            os.kill(os.getpid(), signal.SIGKILL)
        warnings = ("it sounds odd",) if "odd" in clip.name else ()
        return Reconstruction(wav=wav * np.float32(0.5), num_bits=len(wav) // 10, warnings=warnings)


def open_faulty(spec, *, threads=1, device="cpu"):
    """Open `faulty` and `unopenable` besides the real kinds; `once` opens in one process only."""
    parsed = parse_spec(spec)
    if parsed.kind == "unopenable":
        raise ConfigError("the system cannot be opened; give another")
    if parsed.kind == "once":
        with open(parsed.options["flag"], "a") as file:
            file.write("x")
        if Path(parsed.options["flag"]).stat().st_size > 1:
            raise MemoryError("no room for a second one")
    if parsed.kind in ("faulty", "once"):
        return Faulty(parsed, {"version": parsed.options.get("version", "1")})
    return open_system(spec, threads=threads, device=device)


def write_clip(path, seconds=0.5, seed=0, volume=0.1):
    """Write noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, volume, int(16_000 * seconds))
    soundfile.write(path, samples, 16_000)

"""How long the commands take from a cold start: help, info, encode and decode of a short clip.

    python -m benchmarks.startup                  five runs of each: about a minute
    python -m benchmarks.startup --runs 9 -o startup.json

Every run is a process of its own. Help and info have to answer without loading torch.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import add_common_options, written_json
from benchmarks.process import run_command, run_python
from benchmarks.sound import write_sound
from benchmarks.tables import seconds_text
from semanticodec.benchmark.sound import synthesize
from semanticodec.evaluation.tables import plain_table
from semanticodec.token_format import SAMPLE_RATE

CLIP_S = 3.0
# Seconds by the wall clock on two cores; decoding has no goal of its own.
GOALS = {"--help": 0.3, "info": 0.3, "encode": 4.0, "decode": None}


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the arguments of every command, in an order in which inputs are there."""
    clip, codes, decoded = (str(folder / name) for name in ("clip.wav", "clip.smtc", "out.wav"))
    write_sound(clip, [synthesize(round(CLIP_S * SAMPLE_RATE))])
    return {
        "encode": ["encode", clip, "-o", codes, "--overwrite", "-q"],
        "decode": ["decode", codes, "-o", decoded, "--overwrite", "-q"],
        "info": ["info", codes],
        "--help": ["--help"],
    }


def imports_torch(words: list[str]) -> bool:
    """Return whether a command loads torch."""
    finished = run_python(["-X", "importtime", "-m", "semanticodec", *words])
    modules = (line.rpartition("|")[2].strip() for line in finished.stderr.splitlines())
    return "torch" in modules


def measure(name: str, words: list[str], num_runs: int, threads: int | None) -> dict[str, Any]:
    """Return the figures of one command."""
    run_command(*words, threads=threads)  # does not count: the files are read from disk once
    runs = [run_command(*words, threads=threads) for _ in range(num_runs)]
    seconds = statistics.median(run.seconds for run in runs)
    goal = GOALS[name]
    return {
        "command": name,
        "seconds": seconds,
        "runs": [run.seconds for run in runs],
        "cpu_seconds": statistics.median(run.cpu_seconds for run in runs),
        "peak_memory_mb": max(run.peak_mb for run in runs),
        "goal_seconds": goal,
        "is_reached": None if goal is None else seconds < goal,
        "imports_torch": imports_torch(words),
    }


def table_row(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of a command."""
    goal = row["goal_seconds"]
    return (
        row["command"],
        "yes" if row["imports_torch"] else "no",
        "-" if goal is None else f"< {goal:g} s {'reached' if row['is_reached'] else 'missed'}",
        seconds_text(row["seconds"]),
        seconds_text(min(row["runs"])),
        seconds_text(max(row["runs"])),
        seconds_text(row["cpu_seconds"]),
        f"{row['peak_memory_mb']:.0f}",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=5,
        metavar="N",
        help="number of runs of each command (default: %(default)s)",
    )
    add_common_options(parser)
    args = parser.parse_args()
    model = [] if args.model is None else ["--model", args.model]
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, words in commands(Path(folder)).items():
            needed = model if name in ("encode", "decode") else []
            rows.append(measure(name, [*words, *needed], args.runs, args.threads))
    header = ("command", "torch", "goal", "seconds", "from", "to", "CPU seconds", "memory MB")
    text = "\n".join(plain_table(header, [table_row(row) for row in rows], num_text_columns=3))
    sys.stdout.write(text + "\n")
    written_json(args, "startup", {"clip_seconds": CLIP_S, "commands": rows})


if __name__ == "__main__":
    main()

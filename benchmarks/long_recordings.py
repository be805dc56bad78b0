"""Memory and time of encoding and decoding long recordings: constant the one, linear the other.

    python -m benchmarks.long_recordings                        1, 10 and 60 minutes of sound
    python -m benchmarks.long_recordings --minutes 0.5 1 2 --picture curve.png
    python -m benchmarks.long_recordings --minutes 1 2 --neighbors 2      beside busy processes

The sound is synthetic. Every run is the real command in a process of its own.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import add_common_options, written_json
from benchmarks.neighbors import add_neighbors_option, busy_neighbors
from benchmarks.process import run_command
from benchmarks.sound import sound_blocks, write_sound
from benchmarks.tables import seconds_text
from semanticodec.evaluation.tables import plain_table

MINUTES = (1.0, 10.0, 60.0)
COMMANDS = ("encode", "decode")
GOAL_MB = 1500.0


def measure(minutes: float, args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Return the figures of encoding and decoding one length."""
    wav, codes = folder / "sound.wav", folder / "sound.smtc"
    write_sound(wav, sound_blocks(60 * minutes))
    model = [] if args.model is None else ["--model", args.model]
    ways = {"encode": (wav, codes), "decode": (codes, wav)}
    rows = []
    for command, (source, target) in ways.items():
        words = [command, source, "-o", target, "--overwrite", "-q", *model]
        finished = run_command(*words, threads=args.threads)
        rows.append(
            {
                "command": command,
                "minutes": minutes,
                "seconds": finished.seconds,
                "cpu_seconds": finished.cpu_seconds,
                "peak_memory_mb": finished.peak_mb,
                "times_real_time": 60 * minutes / finished.seconds,
            }
        )
    return rows


def line_through(rows: list[dict[str, Any]], measured: str) -> dict[str, float]:
    """Return cost = start + slope * minutes, and how far any length is off, as a share."""
    minutes = np.array([row["minutes"] for row in rows])
    cost = np.array([row[measured] for row in rows])
    # Relative errors count: otherwise the longest recording alone would decide.
    slope, start = np.polyfit(minutes, cost, 1, w=1 / cost)
    off = np.abs(start + slope * minutes - cost) / cost
    return {
        "start": float(start),
        "per_minute": float(slope),
        "largest_deviation": float(off.max()),
    }


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the fits of every command, and how much memory grows with length."""
    summary = {}
    for command in COMMANDS:
        chosen = [row for row in rows if row["command"] == command]
        memory = [row["peak_memory_mb"] for row in chosen]
        summary[command] = {
            "seconds": line_through(chosen, "seconds"),
            "cpu_seconds": line_through(chosen, "cpu_seconds"),
            "memory_growth_mb": memory[-1] - memory[0],
            "peak_memory_mb": max(memory),
        }
    return summary


def table_row(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one run."""
    return (
        row["command"],
        f"{row['minutes']:g}",
        seconds_text(row["seconds"]),
        seconds_text(row["cpu_seconds"]),
        f"{row['times_real_time']:.1f}",
        f"{row['peak_memory_mb']:.0f}",
    )


def describe(command: str, fit: dict[str, Any]) -> str:
    """Return the findings about one command."""
    line = fit["cpu_seconds"]
    reached = "below" if fit["peak_memory_mb"] < GOAL_MB else "not below"
    return (
        f"{command}: {seconds_text(line['start'])} CPU seconds and "
        f"{seconds_text(line['per_minute'])} per minute of sound (no length is further from that "
        f"line than {100 * line['largest_deviation']:.1f} %); memory grows by "
        f"{fit['memory_growth_mb']:.0f} MB from the shortest to the longest and stays {reached} "
        f"{GOAL_MB:.0f} MB"
    )


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the curves of memory and time over length."""
    from benchmarks.modules.picture import new_figure, picture_bytes

    figure = new_figure(9.5, 3.8)
    panels: Any = figure.subplots(1, 2)
    kinds = (("peak_memory_mb", "largest memory (MB)"), ("seconds", "seconds"))
    for panel, (measured, label) in zip(panels, kinds):
        for command, color, marker in zip(COMMANDS, ("#0072B2", "#D55E00"), "os"):
            chosen = [row for row in rows if row["command"] == command]
            minutes = [row["minutes"] for row in chosen]
            values = [row[measured] for row in chosen]
            panel.plot(minutes, values, marker=marker, color=color, label=command)
        panel.set_xlabel("minutes of sound")
        panel.set_ylabel(label)
        panel.set_xlim(left=0)
        panel.set_ylim(0, 1.15 * max(row[measured] for row in rows))
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#D9D9D9", linewidth=0.6)
        panel.legend(frameon=False)
    path.write_bytes(picture_bytes(figure, path.suffix[1:]))


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes",
        type=float,
        nargs="+",
        default=MINUTES,
        metavar="M",
        help="lengths of the recordings in minutes (default: 1 10 60)",
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="picture of the curves, .png or .svg"
    )
    add_neighbors_option(parser)
    add_common_options(parser)
    args = parser.parse_args()
    if len(set(args.minutes)) < 2:
        parser.error("a line needs two lengths at least; give more --minutes")
    with tempfile.TemporaryDirectory() as folder, busy_neighbors(args.neighbors):
        lengths = sorted(set(args.minutes))
        rows = [row for minutes in lengths for row in measure(minutes, args, Path(folder))]
    header = ("command", "minutes", "seconds", "CPU seconds", "× real time", "memory MB")
    sys.stdout.write("\n".join(plain_table(header, [table_row(row) for row in rows])) + "\n\n")
    summary = summarize(rows)
    for command, fit in summary.items():
        sys.stdout.write(describe(command, fit) + "\n")
    results = {"neighbors": args.neighbors, "runs": rows, "summary": summary}
    written_json(args, "long_recordings", results)
    if args.picture is not None:
        draw(rows, args.picture)


if __name__ == "__main__":
    main()

"""A folder of short clips against the same sound in one file, through the real command.

    python -m benchmarks.folder                        200 clips of 10.24, 5 and 2 s each
    python -m benchmarks.folder --clips 20 --seconds 2

Seconds of sound per second, start of the process included. The sound is synthetic.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import add_common_options, written_json
from benchmarks.neighbors import add_neighbors_option, busy_neighbors
from benchmarks.process import Finished, run_command
from benchmarks.sound import write_sound
from benchmarks.tables import seconds_text
from semanticodec.benchmark.sound import synthesize
from semanticodec.evaluation.tables import plain_table
from semanticodec.token_format import SAMPLE_RATE

NUM_CLIPS = 200
SECONDS = (10.24, 5.0, 2.0)
GOAL = 0.8  # throughput of the folder over that of the file


def write_clips(folder: Path, num_clips: int, seconds: float) -> None:
    """Write clips/*.wav, and all of them as one.wav."""
    clips = [synthesize(round(seconds * SAMPLE_RATE), seed) for seed in range(num_clips)]
    (folder / "clips").mkdir()
    for number, clip in enumerate(clips):
        write_sound(folder / "clips" / f"{number:04}.wav", [clip])
    write_sound(folder / "one.wav", clips)


def measure(seconds: float, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the figures of encoding and decoding clips of one length, both ways."""
    model = [] if args.model is None else ["--model", args.model]

    def run(command: str, source: Path, target: Path) -> Finished:
        words = [command, source, "-o", target, "--overwrite", "-q", *model]
        return run_command(*words, threads=args.threads)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clips(folder, args.clips, seconds)
        names = {
            "encode": (("clips", "codes"), ("one.wav", "one.smtc")),
            "decode": (("codes", "decoded"), ("one.smtc", "decoded.wav")),
        }
        rows = []
        for command, ways in names.items():
            many, one = (run(command, folder / source, folder / end) for source, end in ways)
            rows.append(
                {
                    "command": command,
                    "clips": args.clips,
                    "clip_seconds": seconds,
                    "folder": _figures(many, args.clips * seconds),
                    "file": _figures(one, args.clips * seconds),
                    "ratio": one.seconds / many.seconds,
                    "cpu_ratio": one.cpu_seconds / many.cpu_seconds,
                }
            )
    return rows


def _figures(finished: Finished, sound_s: float) -> dict[str, float]:
    return {
        "seconds": finished.seconds,
        "cpu_seconds": finished.cpu_seconds,
        "times_real_time": sound_s / finished.seconds,
        "peak_memory_mb": finished.peak_mb,
    }


def table_row(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one command and length."""
    return (
        row["command"],
        f"{row['clips']} × {row['clip_seconds']:g} s",
        "yes" if row["ratio"] >= GOAL else "no",
        f"{row['folder']['times_real_time']:.1f}",
        f"{row['file']['times_real_time']:.1f}",
        f"{row['ratio']:.2f}",
        f"{row['cpu_ratio']:.2f}",
        seconds_text(row["folder"]["seconds"]),
        seconds_text(row["file"]["seconds"]),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clips",
        type=int,
        default=NUM_CLIPS,
        metavar="N",
        help="number of clips (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        nargs="+",
        default=SECONDS,
        metavar="S",
        help="lengths of the clips in seconds (default: 10.24 5 2)",
    )
    add_neighbors_option(parser)
    add_common_options(parser)
    args = parser.parse_args()
    with busy_neighbors(args.neighbors):
        rows = [row for seconds in args.seconds for row in measure(seconds, args)]
    header = ("command", "clips", "within 20 %", "folder × real time", "file × real time")
    header += ("ratio", "CPU ratio", "folder seconds", "file seconds")
    text = "\n".join(plain_table(header, [table_row(row) for row in rows], num_text_columns=3))
    sys.stdout.write(text + "\n")
    written_json(args, "folder", {"goal_ratio": GOAL, "neighbors": args.neighbors, "runs": rows})


if __name__ == "__main__":
    main()

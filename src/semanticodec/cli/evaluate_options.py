"""What the evaluation commands share: how they measure, what they print, what they return."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semanticodec.cli.options import checked_device, positive_int, renamed

if TYPE_CHECKING:
    from semanticodec.evaluation.reconstruction import Settings

# Exit status where clips, variants or tasks failed and the others were measured.
SOME_FAILED = 1


class _ListMetrics(argparse.Action):
    """Prints the metrics and ends the program."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from semanticodec.evaluation.metrics import METRICS
        from semanticodec.evaluation.tables import plain_table

        rows = [
            [metric.name, metric.label, metric.family, metric.package or ""]
            for metric in METRICS.values()
        ]
        head = ["metric", "title", "family", "package"]
        print("\n".join(plain_table(head, rows, num_text_columns=len(head))))
        parser.exit()


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add -o."""
    output = parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="output directory"
    )
    renamed(parser, output, "--out")


def add_metric_options(group: argparse._ArgumentGroup) -> None:
    """Add --metrics, --recognizer, --speaker-model and --limit."""
    group.add_argument(
        "--metrics",
        metavar="NAME,...",
        help="names of the metrics to compute, or of their families (default: all whose packages "
        "and models are there; --list-metrics names them)",
    )
    group.add_argument(
        "--list-metrics", nargs=0, action=_ListMetrics, help="print the metrics and exit"
    )
    recognizer = group.add_argument(
        "--recognizer",
        metavar="NAME",
        help="speech recognizer for word errors: pocketsphinx (offline, coarse), whisper "
        "(large-v3, the paper's) or whisper=FOLDER, of transformers or of CTranslate2",
    )
    renamed(group, recognizer, "--recogniser")
    group.add_argument(
        "--speaker-model",
        metavar="FOLDER",
        help="model for speaker similarity, with an x-vector head: folder of transformers or Hub "
        "id, such as microsoft/wavlm-base-plus-sv",
    )
    group.add_argument(
        "--limit", type=positive_int, metavar="N", help="use only the first N clips of each domain"
    )


def add_report_options(group: argparse._ArgumentGroup) -> None:
    """Add --json and --quiet."""
    group.add_argument(
        "--json", action="store_true", help="print the results as JSON instead of tables"
    )
    group.add_argument("-q", "--quiet", action="store_true", help="report errors only")


def measuring_settings(args: argparse.Namespace) -> Settings:
    """Return the settings that the options ask for.

    Args:
        args: `metrics`, `recognizer`, `speaker_model`, `jobs`, `threads`, `device` and `quiet`.
    Raises:
        ConfigError: a device that this machine lacks.
    """
    from semanticodec.evaluation.reconstruction import Settings
    from semanticodec.provenance import num_cores

    device = checked_device(args.device)
    threads = args.threads or 1
    default_jobs = max(1, num_cores() // threads) if device == "cpu" else 1
    return Settings(
        metrics=None if args.metrics is None else _names(args.metrics),
        recognizer=args.recognizer,
        speaker_model=args.speaker_model,
        jobs=args.jobs or default_jobs,
        threads=threads,
        device=device,
        show_progress=not args.quiet,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))

"""What the evaluation commands share: how they measure, what they print, what they return."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from semanticodec.cli.options import positive_int
from semanticodec.cli.progress import is_watched
from semanticodec.device import checked_device

if TYPE_CHECKING:
    from semanticodec.evaluation.reconstruction import Settings

# Exit status where clips, variants or tasks failed and the others were measured.
SOME_FAILED = 1
WER = "wer"


def add_metric_options(group: argparse._ArgumentGroup) -> None:
    """Add --metrics, --recogniser and --limit."""
    group.add_argument(
        "--metrics",
        metavar="NAME,...",
        help="some of mel, stft, visqol_speech, visqol_audio, stoi, wer (default: all, wer only "
        "with --recogniser); stoi and wer are for speech",
    )
    group.add_argument(
        "--recogniser",
        metavar="NAME",
        help="writes down speech for wer: pocketsphinx (offline, coarse), whisper (large-v3, the "
        "paper's), whisper=FOLDER",
    )
    group.add_argument(
        "--limit", type=positive_int, metavar="N", help="only the first N clips of each domain"
    )


def add_report_options(group: argparse._ArgumentGroup) -> None:
    """Add --json and --quiet."""
    group.add_argument("--json", action="store_true", help="print the content of results.json")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def measuring_settings(args: argparse.Namespace) -> Settings:
    """Return the settings that the options ask for.

    Args:
        args: `metrics`, `recogniser`, `jobs`, `threads`, `device` and `quiet`.
    Raises:
        ConfigError: a device that this machine lacks.
    """
    from semanticodec.evaluation.reconstruction import DEFAULT_METRICS, Settings
    from semanticodec.provenance import num_cores

    spoken = () if args.recogniser is None else (WER,)
    metrics = (*DEFAULT_METRICS, *spoken) if args.metrics is None else _names(args.metrics)
    device = checked_device(args.device)
    threads = args.threads or 1
    default_jobs = max(1, num_cores() // threads) if device == "cpu" else 1
    return Settings(
        metrics=metrics,
        recogniser=args.recogniser,
        jobs=args.jobs or default_jobs,
        threads=threads,
        device=device,
        show_progress=is_watched(args.quiet),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))

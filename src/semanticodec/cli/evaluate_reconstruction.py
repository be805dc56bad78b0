"""`semanticodec evaluate reconstruction`: how well codecs reconstruct the clips of a suite."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from semanticodec.cli.evaluate_options import (
    SOME_FAILED,
    add_metric_options,
    add_output,
    add_report_options,
    measuring_settings,
)
from semanticodec.cli.old_specs import current_form, current_specs
from semanticodec.cli.options import add_device_option, positive_int
from semanticodec.cli.report import DONE
from semanticodec.errors import ConfigError

MOVED_SUITE = "paper"
HELP = "measure the quality of decoded audio (Table II)"
DESCRIPTION = """\
Reconstruct every clip of a suite with every system and measure what is left of it: distances of
spectrograms, ViSQOL, detail, of speech intelligibility, opinion scores, words, pitch and the voice,
and bits per second; per clip, per domain and on average, with bootstrap 95 % intervals and paired
differences from a baseline. --list-metrics names the metrics.

  semanticodec evaluate reconstruction --suite clips/ --system model ground-truth -o results/
  semanticodec evaluate reconstruction --suite clips/ --system model:steps=50 opus:kbps=6 \\
      encodec:kbps=1.5 -o results/ --jobs 4
  semanticodec evaluate reconstruction --suite clips/ --recognizer whisper=FOLDER -o ladder/ \\
      --system ground-truth vocoder vae oracle model       # where quality is lost

A suite is a folder of recordings with a sub-folder for each domain (speech, music, general ...)
and, for word errors, a transcripts.tsv (path, language, transcript); without it, words are compared
with what the recognizer hears in the original.

Systems are written KIND or KIND:key=value,key=value; all take name=LABEL:
  model                        this codec; path=FOLDER|HUB_ID, rate=50, vocab=8192, quality=draft,
                               steps=25, guidance=2, interval=0.2-0.8, eta=0, sampler=ddim, seed=0,
                               dtype=bfloat16 choose its settings; refine=25 searches for codes
                               as `encode --refine` does
  oracle, semantic-only        its two bounds: features that are not quantized; semantic codes only.
                               Both take what `model` takes, but refine
  vocoder, vae                 the true mel through the model's vocoder, and through its VAE before;
                               path=FOLDER|HUB_ID, rate=50, and for `vae` encoder=FOLDER, the export
                               of its training (default: latents are fitted)
  ground-truth                 the clips themselves
  folder:path=FOLDER           recordings that somebody's codec made, named as the clips; kbps=X
  opus:kbps=6, speex:quality=0, codec2:mode=700C|1200|3200   programs, where installed
  encodec:kbps=1.5|3|6, dac:books=N                          models of transformers; path=FOLDER

The output directory gets results.json, clips.csv and report.md. An interrupted run resumes with
the same command; systems can be added to its directory later. Exit status: 0 all clips of all
systems were measured; 1 some failed (the report names them; the same command tries them again);
2 the command cannot be run as given.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the evaluation's arguments."""
    parser.add_argument(
        "--suite", required=True, metavar="FOLDER", help="folder of recordings to reconstruct"
    )
    parser.add_argument(
        "--system",
        required=True,
        nargs="+",
        action="extend",
        metavar="SPEC",
        help="systems to evaluate; may be repeated",
    )
    add_output(parser)
    group = parser.add_argument_group("measuring")
    add_metric_options(group)
    group.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="NAME",
        help="system that the others are compared with; may be repeated (default: the first)",
    )
    _add_running(parser)


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="number of processes, each of which holds a model (default: CPU cores / --threads; 1 "
        "on a GPU)",
    )
    group.add_argument(
        "--threads",
        type=positive_int,
        default=1,
        metavar="N",
        help="number of CPU threads of each process (default: %(default)s)",
    )
    add_device_option(group)
    group.add_argument(
        "--save-audio",
        type=Path,
        metavar="FOLDER",
        help="folder for the decoded audio, as FOLDER/SYSTEM/CLIP.flac",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="discard the results that the output directory holds",
    )
    add_report_options(group)


def run(args: argparse.Namespace) -> int:
    """Measure, report, and return the exit status."""
    from semanticodec.evaluation import report
    from semanticodec.evaluation.reconstruction import evaluate, num_failures
    from semanticodec.evaluation.suites import open_suite

    settings = replace(
        measuring_settings(args),
        baselines=tuple(current_form(name) for name in args.baseline),
        save_audio=args.save_audio,
        overwrite=args.overwrite,
    )
    if args.suite == MOVED_SUITE and not Path(args.suite).is_dir():
        raise ConfigError(
            f"the suite '{MOVED_SUITE}' is now fetched by `python -m experiments.paper`, run from "
            "a clone of the repository; give the folder that it writes"
        )
    specs = current_specs(args.system, current_form)
    results = evaluate(open_suite(args.suite, limit=args.limit), specs, args.output, settings)
    where = args.output / "report.md"
    if args.json:
        print(json.dumps(results, ensure_ascii=False))
    elif not args.quiet:
        print(f"{report.table(results)}\n\nThe report is {where}")
    failed = num_failures(results)
    if failed:
        print(f"semanticodec: {failed} reconstructions failed; see {where}", file=sys.stderr)
    return SOME_FAILED if failed else DONE

"""`semanticodec tokenize`: whole corpora to codes in the formats that people train with."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semanticodec.cli.options import add_model_choice, positive_int
from semanticodec.cli.report import DONE, USER_ERROR
from semanticodec.cli.standard_streams import print_to_stderr
from semanticodec.corpus.format_names import DEFAULT_FORMAT, FORMAT_NAMES
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    from semanticodec.corpus.run import CorpusChoice, Progress
    from semanticodec.progress import ProgressBar

HELP = "encode whole corpora for training"
# Some recordings could not be encoded; `errors.jsonl` says why.
SOME_FAILED = 1
DESCRIPTION = """\
Encode whole corpora, and write their codes in the formats that people train with.

  semanticodec tokenize recordings/ -o corpus/
  semanticodec tokenize "shards/{000..123}.tar" -o corpus/ --format webdataset parquet
  semanticodec tokenize train.jsonl -o corpus/ --format nemo --jobs 8
  find data -name wav.scp | semanticodec tokenize - -o corpus/ --address auto
  semanticodec tokenize --verify corpus/

Sources: sound files, folders and patterns; manifests (.csv, .tsv, .jsonl: path, optional id,
offset, duration in seconds, and columns that are carried through); Kaldi's wav.scp and segments;
WebDataset tars; Parquet files and folders of Hugging Face's `save_to_disk`.

A run that was stopped, in whatever way, goes on with the same command from the last finished shard.
The plan is made once: sources that change later need another output folder. Exit status: 0 all
recordings are encoded; 1 some failed (errors.jsonl names them; --retry-errors tries them again);
2 the command cannot be run as given.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="file, folder, quoted pattern, or - for a list of these on stdin",
    )
    _add_output(parser)
    add_model_choice(parser)
    _add_running(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="folder of the corpus")
    group.add_argument(
        "--format",
        nargs="+",
        action="extend",  # a second --format adds to the first
        choices=FORMAT_NAMES,
        help=f"formats to write, each in a folder of its name (default: {DEFAULT_FORMAT})",
    )
    group.add_argument(
        "--shard-size",
        type=positive_int,
        default=1000,
        metavar="N",
        help="number of recordings in a shard at most (default: %(default)s)",
    )
    group.add_argument(
        "--shard-megabytes",
        type=positive_int,
        default=256,
        metavar="N",
        help="size of a shard's sound files at most; a worker that dies costs a shard of work "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--verify", type=Path, metavar="FOLDER", help="check every file of a corpus and do no more"
    )
    group.add_argument("--json", action="store_true", help="report a summary as JSON object")
    group.add_argument("-q", "--quiet", action="store_true", help="report errors only")


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="number of workers, with one CPU thread or GPU each (default: as many as there are "
        "cores; on a GPU 1, on a cluster with GPUs one for each)",
    )
    group.add_argument(
        "--address",
        metavar="HOST:PORT|auto|local",
        help="Ray cluster to work on, which sees the same paths; local starts one on this machine "
        "(default: threads of this process)",
    )
    group.add_argument(
        "--max-errors",
        type=int,
        metavar="N",
        help="number of recordings that may fail before the run stops (default: no limit)",
    )
    group.add_argument(
        "--retry-errors", action="store_true", help="try recordings again that failed earlier"
    )


def run(args: argparse.Namespace) -> int:
    """Write or verify a corpus and return the exit status."""
    if args.verify is not None:
        return _verify(args)
    if not args.sources or args.output is None:
        raise ConfigError("no SOURCE or no --output; give both, or --verify FOLDER alone")
    from semanticodec.corpus.run import tokenize
    from semanticodec.progress import ProgressBar

    with ProgressBar(unit="recording", shown=not args.quiet, has_summary=False) as bar:
        progress = tokenize(_choice(args), lambda progress: _show(bar, progress))
    summary = _summary(args.output, progress)
    if args.json:
        print(json.dumps(summary))
    elif not args.quiet:
        print(_closing_line(summary))
    return SOME_FAILED if summary["errors"] else DONE


def _verify(args: argparse.Namespace) -> int:
    """Report what is wrong with the files of a corpus; the exit status is 2 if anything is."""
    from semanticodec.corpus.description import verify

    problems = verify(args.verify, show_progress=not args.quiet)
    if args.json:
        print(json.dumps({"corpus": str(args.verify), "problems": problems}))
    else:
        for problem in problems:
            print_to_stderr(f"semanticodec: error: {problem}")
        if not problems and not args.quiet:
            print(f"{args.verify}: every file is as it was written")
    return USER_ERROR if problems else DONE


def _choice(args: argparse.Namespace) -> CorpusChoice:
    from semanticodec.corpus.plan import ShardLimits
    from semanticodec.corpus.run import CorpusChoice
    from semanticodec.corpus.worker import ModelChoice

    return CorpusChoice(
        sources=args.sources,
        folder=args.output,
        formats=tuple(dict.fromkeys(args.format or [DEFAULT_FORMAT])),
        model=ModelChoice(
            source=args.model,
            token_rate=args.token_rate,
            semantic_vocab_size=args.semantic_vocab_size,
            device=args.device,
        ),
        limits=ShardLimits(recordings=args.shard_size, megabytes=args.shard_megabytes),
        jobs=args.jobs,
        address=args.address,
        max_errors=args.max_errors,
        retry_errors=args.retry_errors,
    )


def _show(bar: ProgressBar, progress: Progress) -> None:
    """Move the line on; it moves by sound, too, since a recording may last for hours."""
    note = f"{progress.num_failed} failed" if progress.num_failed else ""
    bar.show(total=progress.num_planned, seconds=progress.heard_s, note=note)
    bar.reach(progress.num_done)


def _summary(folder: Path, progress: Progress) -> dict[str, Any]:
    """Return what this run has done, and how many recordings of the corpus have no codes."""
    from semanticodec.corpus.journal import CorpusJournal

    failures = CorpusJournal(folder).failures()
    for failure in failures[:3]:
        print_to_stderr(f"semanticodec: error: {failure['source']}: {failure['reason']}")
    return {
        "output": str(folder),
        "recordings": progress.num_done - progress.num_failed,
        "errors": len(failures),
        "hours": round(progress.hours, 6),
        "elapsed_s": round(progress.elapsed_s, 3),
        "hours_per_hour": round(progress.hours_per_hour, 3),
    }


def _closing_line(summary: dict[str, Any]) -> str:
    return (
        f"{summary['output']}: {summary['recordings']} recordings encoded, {summary['hours']:.2f} "
        f"hours at {summary['hours_per_hour']:.1f} hours per hour, {summary['errors']} errors"
    )

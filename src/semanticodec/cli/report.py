"""What a command tells: a line or a JSON object per file on stdout, errors on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from semanticodec.cli.outputs import Task, check_free
from semanticodec.errors import SemantiCodecError

if TYPE_CHECKING:
    from semanticodec import Codes

DONE = 0
USER_ERROR = 2
NUM_STREAMS = 2

Result = dict[str, Any]


def print_error(error: Exception, name: str = "") -> None:
    """Print an error of the user as one line on stderr, with the file's name if it lacks one."""
    text = " ".join(str(error).split()) or type(error).__name__
    prefix = f"{name}: " if name and name not in text else ""
    print(f"semanticodec: error: {prefix}{text}", file=sys.stderr)


def print_warning(text: str, name: str) -> None:
    """Print what a user should know about a file as one line on stderr."""
    print(f"semanticodec: warning: {name}: {text}", file=sys.stderr)


def run_each(
    tasks: Sequence[Task],
    work: Callable[[Task], Result],
    describe: Callable[[Result], str],
    args: argparse.Namespace,
) -> int:
    """Work on every file; one that fails is reported and the others go on.

    Args:
        tasks: what to read and where to write.
        work: does one task and returns what to tell about it.
        describe: makes that one line of text.
        args: `json`, `quiet`, `overwrite` and `skip_existing` as `add_output_options` defines them.
    Returns:
        The exit status: 2 when a file failed.
    """
    from tqdm import tqdm

    from semanticodec.cli.progress import is_watched

    status = DONE
    hidden = len(tasks) == 1 or not is_watched(args.quiet)
    with tqdm(tasks, unit="file", disable=hidden, file=sys.stderr) as progress:
        for task in progress:
            if is_skipped(task, args):
                continue
            try:
                check_free(task.target, args.overwrite)
                result = work(task)
            except BrokenPipeError:
                raise  # nobody reads on: no fault of this file
            except (SemantiCodecError, OSError) as error:
                progress.clear()
                print_error(error, task.item.name)
                status = USER_ERROR
                continue
            progress.clear()
            _tell(result, describe, args, stdout_taken=task.target is None)
    return status


def is_skipped(task: Task, args: argparse.Namespace) -> bool:
    """Return whether a task is left out because its output exists."""
    return args.skip_existing and task.target is not None and task.target.exists()


def _tell(
    result: Result, describe: Callable[[Result], str], args: argparse.Namespace, stdout_taken: bool
) -> None:
    stream = sys.stderr if stdout_taken else sys.stdout
    if args.json:
        print(json.dumps(result), file=stream, flush=True)
    elif not args.quiet:
        print(describe(result), file=stream, flush=True)


def sizes(codes: Codes, num_bytes: int) -> Result:
    """Return the figures of one coded recording.

    Args:
        codes: of one recording.
        num_bytes: of its `.smtc` file.
    Returns:
        Seconds, tokens, bytes, and the kilobits per second that they make.
    """
    seconds = codes.duration_s[0]
    return {
        "seconds": round(seconds, 6),
        "tokens": codes.num_positions[0] * NUM_STREAMS,
        "bytes": num_bytes,
        "kbps": round(num_bytes * 8 / seconds / 1000, 4),
    }


def describe_coded(result: Result) -> str:
    """Return the figures of one coded recording as a line of text."""
    return (
        f"{result['input']} -> {result['output']}: {result['seconds']:.2f} s, "
        f"{result['tokens']} tokens, {result['bytes']} bytes, {result['kbps']:.2f} kbps, "
        f"in {result['elapsed_s']:.1f} s"
    )

"""What a command says: a line or a JSON object per file on stdout, errors on stderr."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from semanticodec.cli.inputs import STDIO
from semanticodec.cli.outputs import Task, check_free, is_taken
from semanticodec.cli.standard_streams import has_stdout, print_to_stderr
from semanticodec.errors import OutputExistsError, SemantiCodecError
from semanticodec.files import output_error

if TYPE_CHECKING:
    from semanticodec import Codes

# Exit statuses.
DONE = 0
USER_ERROR = 2
# What became of a file, in JSON.
STATUS_DONE, STATUS_SKIPPED, STATUS_FAILED = "done", "skipped", "failed"
NUM_STREAMS = 2

Result = dict[str, Any]


def error_text(error: Exception) -> str:
    """Return an error as one line of text."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, SemantiCodecError):
        name = "" if error.filename is None else f"{error.filename}: "
        return f"{name}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def print_error(error: Exception, name: str = "") -> None:
    """Print an error of the user as one line on stderr, with the file's name if it lacks one."""
    text = error_text(error)
    is_named = name in text and name != STDIO
    print_to_stderr(f"semanticodec: error: {'' if is_named else f'{name}: '}{text}")


def print_warning(text: str, name: str) -> None:
    """Print what a user should know about a file as one line on stderr."""
    print_to_stderr(f"semanticodec: warning: {name}: {text}")


class Report:
    """The lines on stdout; one that cannot be written does not stop the work.

    Args:
        args: `json` and `quiet` as `add_output_options` defines them.
        to_stderr: whether stdout is taken by a result.
    """

    def __init__(self, args: argparse.Namespace, to_stderr: bool = False) -> None:
        self._is_json = args.json
        self._is_quiet = args.quiet
        self._stream = sys.stderr if to_stderr else sys.stdout
        self._problem: OSError | None = None

    def tell(self, result: Result, text: str | None) -> None:
        """Print a result as the options ask for it.

        Args:
            result: content of the JSON object.
            text: line for a reader; None where JSON alone has something to say.
        """
        if self._is_json:
            self._print(json.dumps(result))
        elif text is not None and not self._is_quiet:
            self._print(text)

    def close(self) -> None:
        """Say whether lines were lost; where stdout was closed on purpose, that is no error.

        Raises:
            OutputError: stdout is full.
        """
        if self._problem is not None and has_stdout():
            raise output_error("the report on standard output", self._problem)

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._stream, flush=True)
        except BrokenPipeError:
            raise  # nobody reads on: the program ends without a word
        except OSError as error:
            self._problem = error


def run_each(
    tasks: Sequence[Task], work: Callable[[Task], Result], args: argparse.Namespace, verb: str
) -> int:
    """Work on every file; one that fails is reported, and processing continues with the rest.

    Args:
        tasks: inputs to read and files to write.
        work: does one task and returns its `outcome` and what else is to be reported.
        args: `json`, `quiet`, `overwrite` and `skip_existing` as `add_output_options` defines them.
        verb: word for the closing line, such as "encoded".
    Returns:
        The exit status: 2 when a file failed.
    """
    from semanticodec.progress import ProgressBar

    started = time.perf_counter()
    report = Report(args, to_stderr=any(task.target is None for task in tasks))
    counts: Counter[str] = Counter()
    seconds = 0.0
    shown = len(tasks) > 1 and not args.quiet
    with ProgressBar(tasks, unit="file", shown=shown, has_summary=False) as progress:
        for task in progress:
            result = _result(task, work, args)
            counts[result["status"]] += 1
            seconds += result.get("seconds", 0.0)
            num_failed = counts[STATUS_FAILED]
            progress.show(seconds=seconds, note=f"{num_failed} failed" if num_failed else "")
            progress.hide_all()
            done = result["status"] == STATUS_DONE
            report.tell(result, describe_coded(result) if done else None)
    if len(tasks) > 1 and not args.json:
        report.tell({}, _closing_line(counts, verb, seconds, time.perf_counter() - started))
    report.close()
    return USER_ERROR if counts[STATUS_FAILED] else DONE


def is_skipped(task: Task, args: argparse.Namespace) -> bool:
    """Return whether a task is left out because its output exists."""
    return args.skip_existing and is_taken(task.target)


def _result(
    task: Task,
    work: Callable[[Task], Result],
    args: argparse.Namespace,
) -> Result:
    """Return the result of one task, whatever became of it; print its error."""
    names = {"input": task.item.name, "output": task.target_name}
    skipped = {**names, "status": STATUS_SKIPPED}
    if is_skipped(task, args):
        return skipped
    try:
        check_free(task.target, args.overwrite)
        return {**names, "status": STATUS_DONE, **work(task)}
    except BrokenPipeError:
        raise  # nobody reads on: no fault of this file
    except (SemantiCodecError, OSError) as error:
        if args.skip_existing and isinstance(error, OutputExistsError):
            return skipped  # another process has made it in the meantime
        print_error(error, task.item.name)
        return {**names, "status": STATUS_FAILED, "error": error_text(error)}


def _closing_line(counts: Counter[str], verb: str, seconds: float, elapsed_s: float) -> str:
    parts = [f"{counts[STATUS_DONE]} {verb}"]
    parts += [
        f"{counts[status]} {status}" for status in (STATUS_SKIPPED, STATUS_FAILED) if counts[status]
    ]
    if counts[STATUS_DONE]:
        parts += [f"{seconds:.1f} s in {elapsed_s:.1f} s", f"{seconds / elapsed_s:.1f}x real time"]
    return ", ".join(parts)


def outcome(codes: Codes, num_bytes: int, elapsed_s: float) -> Result:
    """Return how long one coded recording is, how small, and how long it took.

    Args:
        codes: codes of one recording.
        num_bytes: size of its `.smtc` file.
        elapsed_s: time of the work, in seconds.
    Returns:
        Seconds, tokens, bytes, the kilobits per second that they make, and `elapsed_s`.
    """
    return sizes(codes.duration_s[0], codes.num_positions[0], num_bytes, elapsed_s)


def sizes(seconds: float, num_positions: int, num_bytes: int, elapsed_s: float) -> Result:
    """Return what `outcome` does, of a recording whose codes are gone.

    Args:
        seconds: length of the recording.
        num_positions: positions of its codes.
        num_bytes: size of its `.smtc` file or stream.
        elapsed_s: time of the work, in seconds.
    """
    return {
        "seconds": round(seconds, 6),
        "tokens": num_positions * NUM_STREAMS,
        "bytes": num_bytes,
        "kbps": round(num_bytes * 8 / seconds / 1000, 4),
        "elapsed_s": round(elapsed_s, 3),
    }


def describe_coded(result: Result) -> str:
    """Return the sizes of one coded recording as a line of text."""
    return (
        f"{result['input']} -> {result['output']}: {result['seconds']:.2f} s, "
        f"{result['tokens']} tokens, {result['bytes']} bytes, {result['kbps']:.2f} kbps, "
        f"in {result['elapsed_s']:.1f} s"
    )

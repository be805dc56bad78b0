"""The standard streams as the program finds them: closed, on a full disk, or short of letters."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

from semanticodec.errors import ConfigError, OutputError


def prepare_streams() -> None:
    r"""Make the standard streams safe to use.

    Letters that a terminal cannot show appear as `\xfc`. A stream that is closed (`>&-`) gets a
    stand-in that says so when it is used, and its number is taken, so that no file of ours is
    opened under it and filled with other people's messages.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_Closed()))
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(_Closed(), write_through=True)  # type: ignore[type-var]
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.BytesIO())  # nobody reads it
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def has_stdout() -> bool:
    """Return whether standard output was open when the program started."""
    return not isinstance(getattr(sys.stdout, "buffer", None), _Closed)


def print_to_stderr(text: str) -> None:
    """Print a line on stderr, in place of progress; where it cannot be written, it is lost."""
    from semanticodec.progress import ProgressBar

    if sys.stderr is not None:  # `print` would take stdout instead
        with suppress(OSError, ValueError):
            ProgressBar.hide_all()
            print(text, file=sys.stderr, flush=True)


def drop_unwritten() -> None:
    """Forget what a standard stream could not take: Python would complain about it at its exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Closed(io.RawIOBase):
    """A standard stream that the caller closed."""

    def readable(self) -> bool:
        """Return True: the answer comes with the first reading."""
        return True

    def writable(self) -> bool:
        """Return True: the answer comes with the first writing."""
        return True

    def readinto(self, buffer: object) -> int:
        """Say that there is nothing to read."""
        raise ConfigError("standard input is closed; give a file, or open it")

    def write(self, data: object) -> int:
        """Say that there is nowhere to write."""
        raise OutputError("standard output is closed; open it, or give a file with -o")

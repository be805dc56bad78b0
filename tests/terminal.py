"""A terminal of a few columns for tests: what programs write to it, and what then stands there."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass
class Terminal:
    """What was written to a terminal.

    Attributes:
        columns: its width.
        text: all that was written, control characters and all.
    """

    columns: int
    text: str = ""

    @property
    def drawn(self) -> list[str]:
        """Every text that stood in a line for a while."""
        return [part.strip() for part in re.split(r"\r\n|\r|\n|\x1b\[K", self.text) if part.strip()]

    @property
    def screen(self) -> list[str]:
        """The lines that stand there at the end; the last is that of the cursor."""
        lines, column = [""], 0
        for part in re.findall(r"\r|\n|\x1b\[K|[^\r\n\x1b]+|.", self.text):
            if part == "\r":
                column = 0
            elif part == "\n":
                lines.append("")
            elif part == "\x1b[K":
                lines[-1] = lines[-1][:column]
            else:
                assert column + len(part) <= self.columns, f"wraps: {part!r}"
                assert "\x1b" not in part, f"more than the line is written to: {part!r}"
                lines[-1] = (
                    lines[-1][:column].ljust(column) + part + lines[-1][column + len(part) :]
                )
                column += len(part)
        return [line.rstrip() for line in lines]


@contextmanager
def stderr_on_a_terminal(columns: int) -> Iterator[Terminal]:
    """Let stderr be a terminal; what was written is there when the block has ended."""
    terminal = Terminal(columns)
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, columns, 0, 0))
    written = bytearray()

    def read() -> None:
        try:
            while data := os.read(ours, 4096):
                written.extend(data)
        except OSError:
            return  # the other end is closed, and all is read

    reader = threading.Thread(target=read)
    reader.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        with os.fdopen(theirs, "w", encoding="utf-8") as stream:
            patch.setattr(sys, "stderr", stream)
            yield terminal
    reader.join()
    os.close(ours)
    terminal.text = written.decode().replace("\r\n", "\n")

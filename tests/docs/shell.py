"""Run the shell of a page in this process: our commands by their functions, pipes in memory."""

import glob
import importlib
import io
import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from snippets import ROOT, snippets

from semanticodec.cli import main

SIGNS = "|<>&;"
ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
EXTRAS = re.compile(r"\[([\w,]+)\]")


class Line(NamedTuple):
    """A line of a page's shell, with the lines that continue it; `number` is the page's own."""

    number: int
    text: str


def shell_blocks(document):
    """Return the blocks of a page's shell but those that the page itself says not to run."""
    return [each for each in snippets(document) if each.language == "bash" and not each.skip]


def lines_of(snippet):
    """Return the lines of a block; a line takes those that continue it."""
    found, number = [], snippet.line
    for text in snippet.body.replace("\\\n", "\0").splitlines():
        if text.strip():
            found.append(Line(number, text.replace("\0", " ")))
        number += 1 + text.count("\0")
    return found


def words_of(text):
    """Return the words of a line: patterns filled in, comments and settings in front left out."""
    shell = shlex.shlex(text, posix=True, punctuation_chars=SIGNS)
    shell.whitespace_split = True
    words = [*itertools.dropwhile(ASSIGNMENT.fullmatch, shell)]
    return [path for word in words for path in sorted(glob.glob(word)) or [word]]


def commands_of(text):
    """Return the commands of a line, and the file that the last one writes to, or None."""

    def is_sign(word):
        return set(word) <= {*SIGNS}

    groups = [(found, [*words]) for found, words in itertools.groupby(words_of(text), is_sign)]
    signs = [sign for found, words in groups if found for sign in words]
    commands = [words for found, words in groups if not found]
    assert set(signs) <= {"|", ">"} and ">" not in signs[:-1], f"not understood: {text}"
    return (commands[:-1], commands[-1][0]) if ">" in signs else (commands, None)


class Pipe(io.BytesIO):
    """What the command in front has written; it can be read once."""

    def seekable(self):
        return False

    def seek(self, *place):
        raise io.UnsupportedOperation


def call(function, words, data=b""):
    """Call the function of a command; return what it writes to stdout."""
    stdin, stdout = io.TextIOWrapper(Pipe(data)), io.TextIOWrapper(io.BytesIO())
    with patch.multiple(sys, stdin=stdin, stdout=stdout):
        try:
            status = function(words)
        except SystemExit as stop:  # --help
            status = stop.code
        stdout.flush()
    assert not status, f"{shlex.join(words)}: exit status {status}"
    return stdout.buffer.getvalue()


def run_semanticodec(words, data):
    return call(main, words, data)


def run_python(words, data):
    """Run a module of the repository, `python -m NAME`."""
    assert words[0] == "-m", words
    module = importlib.import_module(f"{words[1]}.__main__")
    return call(module.main, words[2:], data)


def check_make(words, data):
    """Look for the targets and variables of `make`."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, sign, _ = word.partition("=")
        known = rf"(?m)^{name} \?=" if sign else rf"(?m)^{name}:"
        assert re.search(known, makefile), f"the Makefile has no {name}"
    return b""


def check_pip(words, data):
    """Look for the extras that are installed."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in ",".join(EXTRAS.findall(" ".join(words))).split(","):
        assert f"\n{extra} = [" in declared, f"pyproject.toml has no extra {extra!r}"
    return b""


def run_other(name):
    """Return a program of the system as the others are."""

    def run(words, data):
        return subprocess.run([name, *words], input=data, stdout=subprocess.PIPE, check=True).stdout

    return run


PROGRAMS = {
    "find": run_other("find"),
    "head": run_other("head"),
    "semanticodec": run_semanticodec,
    "python": run_python,
    "make": check_make,
    "pip": check_pip,
    "cat": lambda words, data: b"".join(Path(word).read_bytes() for word in words),
}


def execute(text, programs=PROGRAMS):
    """Run a line; return what its last command writes to stdout.

    Args:
        text: one line of shell.
        programs: functions of (words, stdin) -> stdout, by the first word of a command.
    """
    commands, target = commands_of(text)
    data = b""
    for name, *words in commands:
        data = programs[name](words, data)
    if target is not None:
        Path(target).write_bytes(data)
    return data

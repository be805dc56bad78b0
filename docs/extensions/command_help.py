"""The directive `command-help`: what `semanticodec COMMAND --help` says, as sections of a page."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from semanticodec.cli import build_parser

if TYPE_CHECKING:
    from sphinx.application import Sphinx

COLUMNS = "98"  # descriptions have up to 100


class Command(NamedTuple):
    """A command or sub-command that its parent lists."""

    parser: argparse.ArgumentParser
    summary: str


class CommandHelp(SphinxDirective):
    """Write a section with the help of every command, one below it for each sub-command."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        with mock.patch.dict(os.environ, {"COLUMNS": COLUMNS}):  # argparse reads it
            return [self._section(command) for command in listed_commands(build_parser())]

    def _section(self, command: Command) -> nodes.section:
        name = command.parser.prog
        section = nodes.section(ids=[name.replace(" ", "-")], names=[name])
        section += nodes.title(text=name)
        section += nodes.paragraph(text=command.summary[:1].upper() + command.summary[1:] + ".")
        section += nodes.literal_block(text=command.parser.format_help(), language="text")
        section += [self._section(each) for each in listed_commands(command.parser)]
        return section


def listed_commands(parser: argparse.ArgumentParser) -> Iterator[Command]:
    """Yield the commands of a parser that its own help lists, in that order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for listed in action._choices_actions:
                yield Command(action.choices[listed.dest], listed.help or "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Makes the docstrings, which are plain text for readers of the code, valid for Sphinx."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sphinx.ext.napoleon.docstring import GoogleDocstring

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BEFORE_NAPOLEON = 400  # which has 500, as all that name no priority
SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Source|Yields):")
# Arrows, borders and columns: what is drawn and not written.
DRAWING = re.compile(r"-> |\|| {3}|^ *\*")
# Names that several modules have, where nothing before them says whose they are.
CONFIG = re.compile(r"(?<![\w.])Config\b")
CODEC = re.compile(r"(?<![\w.])SemantiCodec\b")


def keep_drawings(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Show examples and drawings in a docstring as they stand."""
    paragraphs = [*_paragraphs(lines)]
    lines[:] = itertools.chain.from_iterable(
        _as_it_stands(each) if _is_drawing(each) else [*each, ""] for each in paragraphs
    )


def read_property(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Read a property's docstring like that of a function.

    napoleon takes what stands before a property's first colon for its type, unless the first line
    is empty.
    """
    if what == "property":
        lines[:] = ["", *GoogleDocstring(lines, app.config, app, "method", name, obj).lines()]


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    for is_text, group in itertools.groupby(lines, key=lambda line: bool(line.strip())):
        if is_text:
            yield [*group]


def _is_drawing(paragraph: list[str]) -> bool:
    """Return whether a paragraph is indented, or goes on with an indented or drawn line."""
    if any(SECTION.match(line) for line in paragraph):
        return False
    return paragraph[0].startswith(" ") or any(
        line.startswith(" ") and DRAWING.search(line.strip()) for line in paragraph
    )


def _as_it_stands(paragraph: list[str]) -> list[str]:
    return ["::", "", *(f"    {line}" for line in paragraph), ""]


def say_whose(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    return_annotation: str | None,
) -> tuple[str | None, str | None]:
    """Say whose `Config` or `SemantiCodec` stands in a signature: several modules have one."""
    owner = name if what == "class" else name.rpartition(".")[0]
    config = f"{owner.removesuffix('.Config')}.Config"

    def said(text: str | None) -> str | None:
        return text and CODEC.sub("semanticodec.codec.SemantiCodec", CONFIG.sub(config, text))

    return said(signature), said(return_annotation)


def skip_fields(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: object
) -> bool | None:
    """Leave out the fields of named tuples: the section Attributes describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to autodoc."""
    app.connect("autodoc-process-docstring", keep_drawings, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", read_property, priority=BEFORE_NAPOLEON + 1)
    app.connect("autodoc-process-signature", say_whose)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

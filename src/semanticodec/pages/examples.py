"""A page of sounds at all token rates: one HTML file that needs nothing else, no server either."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

from semanticodec.pages.coding import ORIGINAL, Coding, rate_name
from semanticodec.pages.document import html_document
from semanticodec.pages.loudness import equally_loud
from semanticodec.pages.player import data_address, player_html
from semanticodec.pages.table import table_html
from semanticodec.pictures.comparison import draw_comparison
from semanticodec.token_format import SAMPLE_RATE

PCM_BITS = 16
COLUMNS = ("Tokens", "Bytes", "kbps", "Times less than 16-bit PCM")
TITLE = "SemantiCodec: examples"


@dataclass(frozen=True, kw_only=True)
class Example:
    """A sound at several token rates.

    Attributes:
        name: what the page calls it.
        original: waveform at 16 kHz.
        codings: what became of it.
    """

    name: str
    original: Float[np.ndarray, " S"]
    codings: Sequence[Coding]


def examples_page(examples: Sequence[Example]) -> str:
    """Return the HTML of the page.

    Args:
        examples: sounds in the order of the page.
    """
    sections = "".join(
        _section(example, f"example-{number}") for number, example in enumerate(examples)
    )
    body = (
        "<p>Each sound as it was, and as decoded from 25 to 100 tokens per second. All versions "
        "play in step and at one loudness: switch between them while you listen.</p>\n"
    )
    return html_document(TITLE, body + sections, "semanticodec examples page")


def _section(example: Example, anchor: str) -> str:
    wavs = {ORIGINAL: example.original}
    wavs |= {rate_name(coding): coding.wav for coding in example.codings}
    heard = dict(zip(wavs, equally_loud(list(wavs.values()))))
    picture = io.BytesIO()
    draw_comparison(picture, wavs, kind="webp")
    name = escape(example.name)
    description = f"Spectrograms of {name} on one scale: {', '.join(wavs)}"
    rows = {rate_name(coding): _cells(coding) for coding in example.codings}
    return (
        f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{name}</h2>\n'
        f"{player_html(example.name, heard, SAMPLE_RATE, encoding='opus')}\n"
        f"{table_html(COLUMNS, rows)}\n"
        f'<figure><img src="{data_address(picture.getvalue(), "image/webp")}" '
        f'alt="{description}"></figure>\n</section>\n'
    )


def _cells(coding: Coding) -> list[str]:
    times = PCM_BITS * SAMPLE_RATE / 1000 / coding.kbps
    return [str(coding.num_tokens), str(len(coding.stored)), f"{coding.kbps:.2f}", f"{times:.0f}"]

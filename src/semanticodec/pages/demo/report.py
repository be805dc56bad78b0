"""What the demo page shows of a sound that was coded, as HTML."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from semanticodec.pages.coding import ORIGINAL, Coding, Progress, rate_name
from semanticodec.pages.loudness import equally_loud
from semanticodec.pages.player import data_address, player_html
from semanticodec.pages.table import table_html
from semanticodec.pictures.comparison import draw_comparison
from semanticodec.pictures.roundtrip import draw_roundtrip
from semanticodec.pictures.spectrogram import MAX_SAMPLES
from semanticodec.token_format import SAMPLE_RATE

DECODED = "Reconstruction"
COLUMNS = ("Tokens", "Bytes", "kbps", "Encoding (s)", "Decoding (s)", "Codes")


def status_html(progress: Progress) -> str:
    """Return how far the work is, as screen readers tell it too."""
    percent = round(100 * progress.share)
    return (
        f'<p role="status">{escape(progress.text)} … {percent} % '
        f'<progress max="100" value="{percent}" aria-label="Progress"></progress></p>'
    )


def done_html(text: str) -> str:
    """Return what was done."""
    return f'<p role="status">{escape(text)}</p>'


def error_html(error: Exception) -> str:
    """Return what went wrong, as screen readers tell at once."""
    return f'<p role="alert" class="error"><strong>Error:</strong> {escape(str(error))}</p>'


def coding_html(original: Float[np.ndarray, " S"] | None, coding: Coding, name: str) -> str:
    """Return player, figures and picture of one coding.

    Args:
        original: waveform at 16 kHz; None where only its codes are known.
        coding: what became of it.
        name: name of the sound, from its owner.
    """
    wavs = [coding.wav] if original is None else [original, coding.wav]
    names = [DECODED] if original is None else [ORIGINAL, DECODED]
    heard = dict(zip(names, equally_loud(wavs)))
    picture = io.BytesIO()
    draw_roundtrip(picture, original, coding.codes, coding.wav, name)
    shown = "" if original is None else "original and "
    description = (
        f"Spectrograms of {shown}reconstruction on one scale, and between them the semantic and "
        "acoustic codes, aligned in time"
    )
    return (
        player_html(f"Player of {name}", heard, SAMPLE_RATE)
        + _table([coding], name)
        + _picture(picture.getvalue(), description, len(coding.wav))
    )


def comparison_html(original: Float[np.ndarray, " S"], codings: Sequence[Coding], name: str) -> str:
    """Return player, figures and picture of all token rates side by side.

    Args:
        original: waveform at 16 kHz.
        codings: what became of it at several token rates.
        name: name of the sound, from its owner.
    """
    names = [ORIGINAL, *(rate_name(coding) for coding in codings)]
    wavs = [original, *(coding.wav for coding in codings)]
    picture = io.BytesIO()
    draw_comparison(picture, dict(zip(names, wavs)))
    heard = dict(zip(names, equally_loud(wavs)))
    description = f"Spectrograms on one scale: {', '.join(names)}"
    return (
        player_html(f"Player of {name}", heard, SAMPLE_RATE)
        + _table(codings, name)
        + _picture(picture.getvalue(), description, len(original))
    )


def _table(codings: Sequence[Coding], name: str) -> str:
    return table_html(COLUMNS, {rate_name(coding): _cells(coding, name) for coding in codings})


def _cells(coding: Coding, name: str) -> list[str]:
    return [
        str(coding.num_tokens),
        str(len(coding.stored)),
        f"{coding.kbps:.2f}",
        "–" if coding.encode_s is None else f"{coding.encode_s:.2f}",
        f"{coding.decode_s:.2f}",
        _download(coding, name),
    ]


def _download(coding: Coding, name: str) -> str:
    file = escape(f"{name}-{coding.codes.token_rate}.smtc")
    address = data_address(coding.stored, "application/octet-stream")
    return f'<a download="{file}" href="{address}" aria-label="Download {file}">.smtc</a>'


def _picture(png: bytes, description: str, num_samples: int) -> str:
    is_cut = num_samples > MAX_SAMPLES
    note = f"<figcaption>The first {MAX_SAMPLES // SAMPLE_RATE} s.</figcaption>" if is_cut else ""
    return (
        f'<figure><img src="{data_address(png, "image/png")}" alt="{escape(description)}">'
        f"{note}</figure>"
    )

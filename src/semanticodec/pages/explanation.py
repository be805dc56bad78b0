"""What semantic codes stand for, as text and as a page to listen to."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from semanticodec.pages.document import html_document
from semanticodec.pages.meaning import Meaning, Place
from semanticodec.pages.player import data_address, player_html
from semanticodec.pictures.place import draw_place
from semanticodec.token_format import SAMPLE_RATE

AROUND_S = 0.3  # heard before and after a place


def explanation_text(meaning: Meaning) -> str:
    """Return lines that say where a code is heard."""
    lines = [f"semantic code {meaning.code} of {meaning.vocab_size}: {_uses(meaning)}"]
    for place in meaning.places:
        lines.append(
            f"  {place.start_s:7.2f} s  {_band(place.low_hz, place.high_hz):>12}  "
            f"{_likeness(meaning, place)}  {place.sound.name}"
        )
    return "\n".join(lines)


def explanation_page(meanings: Sequence[Meaning]) -> str:
    """Return the HTML of a page with the places of every code, to hear and to see."""
    body = (
        "<p>Every semantic code stands for the sound of one patch: a short time and a band of "
        "frequencies. Below each code are the places whose codes are nearest to it: play them with "
        "what is around them, or their band alone.</p>\n"
    )
    body += "".join(_section(meaning) for meaning in meanings)
    return html_document("SemantiCodec: what a code stands for", body, "semanticodec explain")


def _section(meaning: Meaning) -> str:
    anchor = f"code-{meaning.code}"
    articles = "".join(
        _article(meaning, place, number) for number, place in enumerate(meaning.places, 1)
    )
    return (
        f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">Code {meaning.code}</h2>\n'
        f"<p>{escape(_uses(meaning))}</p>\n{articles}</section>\n"
    )


def _article(meaning: Meaning, place: Place, number: int) -> str:
    start = max(0, round((place.start_s - AROUND_S) * SAMPLE_RATE))
    part = place.sound.wav[start : round((place.end_s + AROUND_S) * SAMPLE_RATE)]
    offset_s = start / SAMPLE_RATE
    picture = io.BytesIO()
    times = place.start_s - offset_s, place.end_s - offset_s
    draw_place(picture, part, times, (place.low_hz, place.high_hz))
    name = escape(place.sound.name)
    where = f"{name}, {place.start_s:.2f} s, {_band(place.low_hz, place.high_hz)}"
    versions = {"As it is": part, "Its band alone": band_alone(part, place.low_hz, place.high_hz)}
    player = player_html(f"code {meaning.code}, place {number}", versions, SAMPLE_RATE, "opus")
    return (
        f"<article>\n<h3>{where} ({_likeness(meaning, place)})</h3>\n{player}\n"
        f'<figure><img src="{data_address(picture.getvalue(), "image/webp")}" '
        f'alt="Spectrogram of {where}; a frame marks the place"></figure>\n</article>\n'
    )


def band_alone(
    wav: Float[np.ndarray, " S"], low_hz: float, high_hz: float
) -> Float[np.ndarray, " S"]:
    """Return what a sound has between two frequencies.

    Args:
        wav: waveform at 16 kHz.
        low_hz: lowest frequency.
        high_hz: highest frequency.
    """
    spectrum = np.fft.rfft(wav)
    frequencies = np.fft.rfftfreq(len(wav), 1 / SAMPLE_RATE)
    spectrum[(frequencies < low_hz) | (frequencies >= high_hz)] = 0
    return np.fft.irfft(spectrum, len(wav)).astype(np.float32)


def _uses(meaning: Meaning) -> str:
    if not meaning.num_uses:
        return "not in these sounds, the nearest codes in them are"
    bands = ", ".join(f"{_band(*band)}: {count}" for band, count in meaning.bands.items())
    return f"uses in these sounds {meaning.num_uses} ({bands})"


def _band(low_hz: float, high_hz: float) -> str:
    return f"{low_hz:.0f}–{high_hz:.0f} Hz"


def _likeness(meaning: Meaning, place: Place) -> str:
    if place.code == meaning.code:
        return "this code"
    return f"code {place.code}, distance {place.distance:.2f}"

"""The player of all pages: several versions of one sound, switched without a gap."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from importlib import resources

import numpy as np
import soundfile
from jaxtyping import Float

# Container, encoding and MIME type by name. Lossless, or small enough for a page that is sent.
ENCODINGS = {
    "flac": ("FLAC", "PCM_16", "audio/flac"),
    "opus": ("OGG", "OPUS", "audio/ogg"),
}


def player_html(
    label: str,
    wavs: Mapping[str, Float[np.ndarray, " S"]],
    sample_rate: int,
    encoding: str = "flac",
) -> str:
    """Return the HTML of a player, the sounds in it; `player_script` makes it work.

    Args:
        label: what is heard, for screen readers.
        wavs: versions of one length by what they are called.
        sample_rate: Hz of all of them.
        encoding: one of `ENCODINGS`.
    """
    players = "".join(
        f'<audio controls preload="none" aria-label="{escape(name)}" '
        f'src="{sound_address(wav, sample_rate, encoding)}"></audio>'
        for name, wav in wavs.items()
    )
    return f'<sound-switch aria-label="{escape(label)}">{players}</sound-switch>'


def player_script() -> str:
    """Return the JavaScript of all players of a page."""
    return resources.files("semanticodec.pages").joinpath("player.js").read_text(encoding="utf-8")


def sound_address(wav: Float[np.ndarray, " S"], sample_rate: int, encoding: str = "flac") -> str:
    """Return a sound as a `data:` address; samples beyond ±1 are clipped."""
    container, subtype, mime = ENCODINGS[encoding]
    stream = io.BytesIO()
    clipped = np.clip(wav, -1.0, 1.0)
    soundfile.write(stream, clipped, sample_rate, subtype, format=container)
    return data_address(stream.getvalue(), mime)


def data_address(data: bytes, mime: str) -> str:
    """Return bytes as a `data:` address, which a page holds in itself."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"

"""What one semantic code stands for: the sounds that have it, or the codes nearest to it.

sounds -> codes at every place -> distances of their centroids to the code's -> the nearest places
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from semanticodec.audio.fbank import LOWEST_HZ
from semanticodec.errors import CodesError
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from semanticodec.codec import SemantiCodec
    from semanticodec.codes import Codes

APART_S = 0.5  # places that are nearer than this in one sound are one


class Sound(NamedTuple):
    """A sound to look for codes in.

    Attributes:
        name: what reports call it.
        wav: waveform at 16 kHz.
        codes: its codes.
    """

    name: str
    wav: Float[np.ndarray, " S"]
    codes: Codes


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in time and frequency whose code is near to the one that is explained.

    Attributes:
        sound: where it is.
        start_s: its start, in seconds.
        end_s: its end, in seconds.
        low_hz: its lowest frequency.
        high_hz: its highest frequency.
        code: its own semantic code.
        distance: from the code that is explained, 0 where it is the same, 1 where it is as far
            as half of all codes are.
    """

    sound: Sound
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    code: int
    distance: float


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What is known of one semantic code.

    Attributes:
        code: the code.
        vocab_size: entries of its codebook.
        bands: how often it occurs in each band of (lowest, highest) Hz.
        places: nearest places, the nearest first.
    """

    code: int
    vocab_size: int
    bands: dict[tuple[float, float], int]
    places: Sequence[Place]

    @property
    def num_uses(self) -> int:
        """How often the sounds have the code."""
        return sum(self.bands.values())


def band_hz(band: int, num_bands: int) -> tuple[float, float]:
    """Return the lowest and the highest frequency of a band of positions.

    Args:
        band: 0 for the lowest.
        num_bands: bands of one time step.
    """
    lowest, highest = (1127.0 * math.log(1.0 + hz / 700.0) for hz in (LOWEST_HZ, SAMPLE_RATE / 2))
    low, high = (
        700.0 * (math.exp((lowest + edge / num_bands * (highest - lowest)) / 1127.0) - 1.0)
        for edge in (band, band + 1)
    )
    return low, high


def explain(codec: SemantiCodec, code: int, sounds: Sequence[Sound], num_places: int) -> Meaning:
    """Return what a semantic code stands for.

    Args:
        codec: codec that the code is of.
        code: semantic code.
        sounds: where to look, encoded by the same codec.
        num_places: how many places to return at most.
    Raises:
        CodesError: the codebook has no such entry.
    """
    vocab_size = codec.semantic_vocab_size
    if not 0 <= code < vocab_size:
        raise CodesError(
            f"semantic code {code}; this model has 0 to {vocab_size - 1} at "
            f"{codec.token_rate} tokens per second"
        )
    distances = _distances(codec, code)
    found = sorted(
        (
            (distances[position_code], number, position)
            for number, sound in enumerate(sounds)
            for position, position_code in enumerate(sound.codes.semantic[0].tolist())
        ),
    )
    places: list[Place] = []
    for distance, number, position in found:
        place = _place(codec, sounds[number], position, distance)
        if not any(_is_same(place, other) for other in places):
            places.append(place)
        if len(places) == num_places:
            break
    return Meaning(
        code=code, vocab_size=vocab_size, bands=_bands(codec, code, sounds), places=places
    )


def _distances(codec: SemantiCodec, code: int) -> list[float]:
    """Return how far every code is from one, in units of the median."""
    centroids = codec.encoder.semantic.codebook(codec.semantic_vocab_size).float().cpu()
    distances = torch.linalg.vector_norm(centroids - centroids[code], dim=1)
    return (distances / distances.median().clamp_min(1e-9)).tolist()


def _place(codec: SemantiCodec, sound: Sound, position: int, distance: float) -> Place:
    grid = codec.format
    column, band = divmod(position, grid.positions_per_column)
    low_hz, high_hz = band_hz(band, grid.positions_per_column)
    return Place(
        sound=sound,
        start_s=column / grid.columns_per_second,
        end_s=(column + 1) / grid.columns_per_second,
        low_hz=low_hz,
        high_hz=high_hz,
        code=int(sound.codes.semantic[0, position]),
        distance=distance,
    )


def _is_same(place: Place, other: Place) -> bool:
    return place.sound is other.sound and abs(place.start_s - other.start_s) < APART_S


def _bands(
    codec: SemantiCodec, code: int, sounds: Sequence[Sound]
) -> dict[tuple[float, float], int]:
    num_bands = codec.format.positions_per_column
    counts: Counter[int] = Counter()
    for sound in sounds:
        positions = (sound.codes.semantic[0] == code).nonzero().flatten()
        counts.update((positions % num_bands).tolist())
    return {band_hz(band, num_bands): counts[band] for band in sorted(counts)}

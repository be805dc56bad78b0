"""Sounds of measuring desks, which recordings hardly have: tones, sweeps, clicks, bands of noise.

A codec that was trained on recordings alone gives a sine back tens of decibels too soft.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from semanticodec.token_format import SAMPLE_RATE

Wave = Float[np.ndarray, " S"]
Kind = Callable[[np.random.Generator, Wave], Wave]
LOWEST_HZ, HIGHEST_HZ = 60.0, 7500.0
LOWEST_DB, HIGHEST_DB = -30.0, -3.0
# Where sweeps start anew, they do after some time between these.
SHORTEST_S, LONGEST_S = 0.5, 10.0
# A sudden end of a tone is a click of its own: every other one has ramps.
RAMP_S = 0.02


def signal(rng: np.random.Generator, num_samples: int, kinds: Sequence[Kind]) -> Wave:
    """Return a random signal in [-1, 1], peak between -30 and -3 dB of full scale.

    Args:
        rng: decides everything about it.
        num_samples: length at 16 kHz.
        kinds: what it is drawn from.
    """
    kind = kinds[int(rng.integers(len(kinds)))]
    time = np.arange(num_samples) / SAMPLE_RATE
    wav = kind(rng, time)
    peak = 10 ** (rng.uniform(LOWEST_DB, HIGHEST_DB) / 20)
    wav = wav * peak / max(float(np.abs(wav).max()), 1e-6)
    if rng.random() < 0.5:
        wav = _gated(rng, time) * wav
    return wav.astype(np.float32)


def _tones(rng: np.random.Generator, time: Wave) -> Wave:
    """One to four sines."""
    frequencies = [_frequency(rng) for _ in range(int(rng.integers(1, 5)))]
    phases = rng.uniform(0, 2 * np.pi, len(frequencies))
    return np.sum(
        [np.sin(2 * np.pi * f * time + p) for f, p in zip(frequencies, phases, strict=True)], axis=0
    )


def _sweep(rng: np.random.Generator, time: Wave) -> Wave:
    """A sine that glides from one frequency to another, in pitch or in Hz."""
    start, end = _frequency(rng), _frequency(rng)
    return _glide(rng, start, end, time / time[-1])


def _sweeps(rng: np.random.Generator, time: Wave) -> Wave:
    """The same again and again: from the crawl of one sweep to an octave in a tenth of a second."""
    start, end = _frequency(rng), _frequency(rng)
    duration = np.exp(rng.uniform(np.log(SHORTEST_S), np.log(LONGEST_S)))
    return _glide(rng, start, end, time / duration % 1.0)


def _glide(rng: np.random.Generator, start: float, end: float, share: Wave) -> Wave:
    glide = start * (end / start) ** share if rng.random() < 0.5 else start + (end - start) * share
    return np.sin(2 * np.pi * np.cumsum(glide) / SAMPLE_RATE)


def _harmonics(rng: np.random.Generator, time: Wave) -> Wave:
    """A steady pitch with overtones that fall by some dB per octave."""
    pitch = rng.uniform(LOWEST_HZ, 800.0)
    numbers = np.arange(1, int(HIGHEST_HZ / pitch) + 1)
    falls = numbers ** -rng.uniform(0.0, 2.0)
    phases = rng.uniform(0, 2 * np.pi, len(numbers))
    return np.sum(
        [
            fall * np.sin(2 * np.pi * number * pitch * time + phase)
            for number, fall, phase in zip(numbers, falls, phases, strict=True)
        ],
        axis=0,
    )


def _clicks(rng: np.random.Generator, time: Wave) -> Wave:
    """Clicks at a steady rate, each a few samples long."""
    wav = np.zeros(len(time))
    period = int(SAMPLE_RATE / rng.uniform(1.0, 30.0))
    wav[int(rng.integers(period)) :: period] = 1.0
    return np.convolve(wav, np.hanning(int(rng.integers(3, 12))), mode="same")


def _noise(rng: np.random.Generator, time: Wave) -> Wave:
    """Noise within a band."""
    low, high = sorted((_frequency(rng), _frequency(rng)))
    spectrum = np.fft.rfft(rng.standard_normal(len(time)))
    frequencies = np.fft.rfftfreq(len(time), 1 / SAMPLE_RATE)
    spectrum[(frequencies < low) | (frequencies > max(high, 1.2 * low))] = 0.0
    return np.fft.irfft(spectrum, len(time))


def _gated(rng: np.random.Generator, time: Wave) -> Wave:
    """Return a gain that is on and off at a steady rate, with ramps half of the time."""
    rate, share = rng.uniform(0.3, 4.0), rng.uniform(0.2, 0.9)
    gate = ((time * rate + rng.random()) % 1.0 < share).astype(np.float64)
    if rng.random() < 0.5:
        ramp = np.hanning(int(RAMP_S * SAMPLE_RATE))
        gate = np.convolve(gate, ramp / ramp.sum(), mode="same")
    return gate


def _frequency(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(LOWEST_HZ), np.log(HIGHEST_HZ))))


# Golden codes are those of signals of these kinds.
KINDS: tuple[Kind, ...] = (_tones, _tones, _sweep, _harmonics, _clicks, _noise)
TRAINING_KINDS: tuple[Kind, ...] = (
    _tones,
    _tones,
    _sweeps,
    _sweeps,
    _harmonics,
    _clicks,
    _noise,
)

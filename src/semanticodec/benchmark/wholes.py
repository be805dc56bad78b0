"""What is made of several boxes: the sampler, and encode and decode from end to end."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from semanticodec.benchmark.boxes import positions, watched_methods
from semanticodec.benchmark.clock import BoxClock, Timing, timed
from semanticodec.benchmark.settings import REST, Settings
from semanticodec.benchmark.sound import SAMPLE_RATE, synthesise
from semanticodec.codec import SemantiCodec
from semanticodec.codes import Codes
from semanticodec.decoder.decoder import LATENT_BINS, LATENT_FRAMES
from semanticodec.decoder.noise import seeded_noise
from semanticodec.layers.stacking import num_positions


@dataclass(frozen=True, kw_only=True)
class WholeTiming:
    """The runs of a whole.

    Attributes:
        timing: of all runs.
        shares: box -> its seconds in the run nearest to the median; they add up to that run.
        clock: of that run.
    """

    timing: Timing
    shares: dict[str, float]
    clock: BoxClock


def measure_whole(name: str, codec: SemantiCodec, settings: Settings) -> WholeTiming:
    """Return the times of "sampler", "encode" or "decode", after one run that does not count."""
    device = torch.device(settings.device)
    work = {"sampler": _sampler, "encode": _encode, "decode": _decode}[name](codec, settings)
    watched = watched_methods(codec, name)
    work()
    pairs: list[tuple[float, float]] = []
    clocks: list[BoxClock] = []
    for _ in range(settings.num_runs):
        clocks.append(BoxClock(device))
        with clocks[-1].watching(watched):
            pairs.append(timed(work, device))
    timing = Timing.of(pairs)
    median = statistics.median_low(timing.seconds)
    chosen = timing.seconds.index(median)
    shares = dict(clocks[chosen].seconds)
    rest = "sampler" if name == "sampler" else REST
    shares[rest] = median - sum(shares.values())
    return WholeTiming(timing=timing, shares=shares, clock=clocks[chosen])


def _sampler(codec: SemantiCodec, settings: Settings) -> Callable[[], Any]:
    decoder, sampling = codec.decoder, codec.sampling(**settings.decode_options)
    features = torch.randn(1, positions(codec), codec.config.encoder.width).to(settings.device)
    context = decoder.condition(features, features, positions(codec))
    shape = (1, codec.config.decoder.unet.in_channels, LATENT_FRAMES, LATENT_BINS)
    noise = seeded_noise(0, shape)
    return lambda: decoder.sample(context, partial(noise, 0), sampling)


def _encode(codec: SemantiCodec, settings: Settings) -> Callable[[], Any]:
    wav = synthesise(round(settings.seconds * SAMPLE_RATE))
    return lambda: codec.encode(wav)


def _decode(codec: SemantiCodec, settings: Settings) -> Callable[[], Any]:
    """Decode random codes: the time does not depend on which, and no encoder is needed."""
    num_samples = round(settings.seconds * SAMPLE_RATE)
    shape = (1, num_positions(num_samples, codec.config.encoder.stack_factor))
    codes = Codes(
        semantic=torch.randint(codec.semantic_vocab_size, shape),
        acoustic=torch.randint(codec.acoustic_vocab_size, shape),
        num_samples=(num_samples,),
        token_rate=codec.token_rate,
        semantic_vocab_size=codec.semantic_vocab_size,
        acoustic_vocab_size=codec.acoustic_vocab_size,
    )
    return lambda: codec.decode(codes, batch_size=settings.batch_size, **settings.decode_options)

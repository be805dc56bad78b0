"""Encoding and decoding from end to end, and how their time is shared among the modules."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch

from semanticodec.benchmark.clock import ModuleClock, Timing, timed
from semanticodec.benchmark.modules import DECODE, ENCODE, REST, SAMPLER, watched_methods
from semanticodec.benchmark.sound import synthesize
from semanticodec.codec import SemantiCodec
from semanticodec.codes import Codes
from semanticodec.errors import ConfigError
from semanticodec.token_format import SAMPLE_RATE

STAGES = MappingProxyType(
    {
        ENCODE: ("fbank", "audiomae", "semantic", "lstm", "acoustic"),
        DECODE: (SAMPLER, "context", "unet", "vae", "vocoder"),
    }
)
FEWEST_RUNS = 1
SHORTEST_S, LONGEST_S = 0.1, 3600.0


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What is run, and how often.

    Attributes:
        num_runs: number of runs that count, after one that does not.
        seconds: length of the sound to encode and decode.
        decode_options: keyword arguments of `SemantiCodec.sampling`; the model's own where left
            out.
        batch_size: number of windows that `decode` computes together (None: as it chooses).
    Raises:
        ConfigError: no runs, or a length outside the bounds.
    """

    num_runs: int = 5
    seconds: float = 10.24
    decode_options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.num_runs < FEWEST_RUNS:
            raise ConfigError(f"{self.num_runs} runs measure nothing; give at least {FEWEST_RUNS}")
        if not SHORTEST_S <= self.seconds <= LONGEST_S:
            raise ConfigError(
                f"a sound of {self.seconds:g} s is not measured; "
                f"give {SHORTEST_S:g} to {LONGEST_S:g} seconds"
            )


@dataclass(frozen=True, kw_only=True)
class StageTiming:
    """The runs of a stage.

    Attributes:
        timing: times of all runs.
        shares: seconds by module in the run nearest to the median; they add up to that run.
        clock: clock of that run.
    """

    timing: Timing
    shares: dict[str, float]
    clock: ModuleClock


@contextmanager
def explained(what: str, device: str, dtype: str) -> Iterator[None]:
    """Say what a machine lacks that cannot do the work inside.

    Args:
        what: name of the measured work.
        device: name of the device that computes.
        dtype: name of the precision.
    Raises:
        ConfigError: too little memory, or no computation in this precision.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ConfigError(f"{what}: {device} has too little memory; measure less") from error
    except RuntimeError as error:
        if "not implemented for" not in str(error):
            raise
        raise ConfigError(
            f"{what}: {device} does not compute in {dtype} ({error}); choose another --dtype"
        ) from error


def stage_work(name: str, codec: SemantiCodec, runs: Runs) -> Callable[[], Any]:
    """Return the work of `encode` or `decode`, ready to be called any number of times."""
    num_samples = round(runs.seconds * SAMPLE_RATE)
    if name == ENCODE:
        wav = synthesize(num_samples)
        return lambda: codec.encode(wav)
    # Random codes: the time does not depend on which, and no encoder is needed.
    shape = (1, codec.format.num_positions(num_samples))
    codes = Codes(
        semantic=torch.randint(codec.semantic_vocab_size, shape),
        acoustic=torch.randint(codec.config.encoder.quantizer.codebook_size, shape),
        num_samples=(num_samples,),
        token_rate=codec.token_rate,
        semantic_vocab_size=codec.semantic_vocab_size,
        acoustic_vocab_size=codec.acoustic_vocab_size,
    )
    return lambda: codec.decode(codes, batch_size=runs.batch_size, **runs.decode_options)


def measure_stage(
    work: Callable[[], Any],
    modules: Sequence[str],
    codec: SemantiCodec,
    device: torch.device,
    num_runs: int,
    rest: str = REST,
    after_run: Callable[[], object] = lambda: None,
) -> StageTiming:
    """Return the times of a stage, after one run that does not count.

    Args:
        work: function to measure.
        modules: names of the modules that take part.
        codec: codec whose modules they are.
        device: device that it computes on.
        num_runs: number of runs that count.
        rest: name of the time that no module accounts for.
        after_run: called after every run, that which does not count among them.
    """
    watched = watched_methods(codec, modules)
    work()
    after_run()
    pairs: list[tuple[float, float]] = []
    clocks: list[ModuleClock] = []
    for _ in range(num_runs):
        clocks.append(ModuleClock(device))
        with clocks[-1].watching(watched):
            pairs.append(timed(work, device))
        after_run()
    timing = Timing.of(pairs)
    median = statistics.median_low(timing.seconds)
    clock = clocks[timing.seconds.index(median)]
    shares = dict(clock.seconds)
    shares[rest] = median - sum(shares.values())
    return StageTiming(timing=timing, shares=shares, clock=clock)

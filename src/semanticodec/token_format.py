"""What kind of stream tokens form: their rate, vocabularies and sample rate, and what follows.

Positions are time-major and come in columns (all frequency bands of one time step):

    token_rate   stack factor   samples per column   positions per column   positions per window
       100            1                2560                    8                    512
        50            2                2560                    4                    256
        25            4                5120                    4                    128

Standard library only: container, codes, codec and command line share it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral

from semanticodec.errors import ConfigError, told

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 163_840  # 10.24 s
NUM_STREAMS = 2  # a position has a semantic and an acoustic code
PATCH_SAMPLES = 2560  # 0.16 s: 16 frames of 10 ms
NUM_BANDS = 8  # 128 mel bins in patches of 16
# Token rate -> how many patches one position joins along time and along frequency.
BLOCKS = {25: (2, 2), 50: (1, 2), 100: (1, 1)}
TOKEN_RATES = tuple(BLOCKS)


def vocab_size_of(codebook_size: int) -> int:
    """Return the vocabulary that holds the codes of a codebook of any size: a power of two.

    `.smtc` files store whole bits; a finite scalar quantizer of 8 x 5 x 5 x 5 codes takes ten.
    """
    return 1 << (codebook_size - 1).bit_length()


@dataclass(frozen=True)
class TokenGrid:
    """Where the positions of a token rate lie in time and frequency.

    Attributes:
        token_rate: 25, 50 or 100 tokens per second, both streams together.
    Raises:
        ConfigError: no such token rate.
    """

    token_rate: int

    def __post_init__(self) -> None:
        if not isinstance(self.token_rate, Integral) or self.token_rate not in BLOCKS:
            raise ConfigError(
                f"token rate {told(self.token_rate)}; choose 25, 50 or 100 tokens per second"
            )

    @classmethod
    def from_stack_factor(cls, stack_factor: int) -> TokenGrid:
        """Return the grid whose positions join `stack_factor` patches: 1, 2 or 4.

        Raises:
            ConfigError: no such stack factor.
        """
        for token_rate, (times, bands) in BLOCKS.items():
            if times * bands == stack_factor:
                return TokenGrid(token_rate)
        raise ConfigError(
            f"a stack factor of {stack_factor} does not exist; "
            "choose 1, 2 or 4 (100, 50 or 25 tokens per second)"
        )

    @property
    def block(self) -> tuple[int, int]:
        """Patches that one position joins along time and along frequency."""
        return BLOCKS[self.token_rate]

    @property
    def stack_factor(self) -> int:
        """Patches that one position joins: 1, 2 or 4."""
        times, bands = self.block
        return times * bands

    @property
    def samples_per_column(self) -> int:
        """Samples of one time step: 2560 or 5120."""
        return PATCH_SAMPLES * self.block[0]

    @property
    def positions_per_column(self) -> int:
        """Positions of one time step: 8 or 4."""
        return NUM_BANDS // self.block[1]

    @property
    def samples_per_position(self) -> int:
        """Share of a column's samples that falls to one of its positions: 320, 640 or 1280."""
        return self.samples_per_column // self.positions_per_column

    @property
    def positions_per_window(self) -> int:
        """Positions of one 10.24 s window: 512, 256 or 128."""
        return WINDOW_SAMPLES // self.samples_per_position

    @property
    def positions_per_second(self) -> float:
        """Positions per second: 50, 25 or 12.5; several of them share a time step."""
        return self.token_rate / NUM_STREAMS

    @property
    def columns_per_second(self) -> float:
        """Time steps per second: 6.25 or 3.125."""
        return self.positions_per_second / self.positions_per_column

    def num_positions(self, num_samples: int) -> int:
        """Return L, the number of positions that hold `num_samples`: whole columns."""
        return -(-num_samples // self.samples_per_column) * self.positions_per_column


@dataclass(frozen=True, kw_only=True)
class TokenFormat(TokenGrid):
    """A token rate with the two vocabularies and the sample rate of the audio.

    Attributes:
        semantic_vocab_size: entries of the semantic codebook, at least 1.
        acoustic_vocab_size: entries of the acoustic codebook, at least 1; where their number is
            no power of two, the next one, see `vocab_size_of`.
        sample_rate: sample rate of the decoded audio in Hz.
    Raises:
        ConfigError: no such token rate, or a size below 1.
    """

    semantic_vocab_size: int
    acoustic_vocab_size: int
    sample_rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("semantic_vocab_size", "acoustic_vocab_size", "sample_rate"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise ConfigError(
                    f"{name} {told(value)}; at least 1 is allowed: "
                    "give the setting of the model that made the codes"
                )

    @classmethod
    def of(cls, known: TokenFormat | None, settings: Mapping[str, int]) -> TokenFormat:
        """Return a format from its attributes by name, or a known one with some of them changed.

        Args:
            known: format to start from; None: `settings` has all that have no default.
            settings: attributes by name.
        Raises:
            ConfigError: no format, a name that is none of the attributes, a missing one or a wrong
                value.
        """
        if known is not None and not isinstance(known, TokenFormat):
            raise ConfigError(f"format is {told(known)}; give a TokenFormat: codec.format")
        names = cls.__dataclass_fields__
        unknown = [name for name in settings if name not in names]
        if unknown:
            raise ConfigError(
                f"a token format has no {', '.join(unknown)}; it has {', '.join(names)}"
            )
        if known is not None:
            return replace(known, **settings) if settings else known
        missing = [name for name in names if name not in {*settings, "sample_rate"}]
        if missing:
            raise ConfigError(
                f"{', '.join(missing)} missing; give format=codec.format, or these by name"
            )
        return cls(**settings)

    @property
    def vocab_sizes(self) -> tuple[int, int]:
        """Entries of the semantic and of the acoustic codebook."""
        return self.semantic_vocab_size, self.acoustic_vocab_size

    @property
    def bits_per_position(self) -> float:
        """Bits of one semantic and one acoustic code; fractions where a size is no power of 2."""
        return math.log2(self.semantic_vocab_size) + math.log2(self.acoustic_vocab_size)

    @property
    def bitrate(self) -> float:
        """Bits per second of the codes alone, without container (paper Table I)."""
        return self.positions_per_second * self.bits_per_position


class Formatted:
    """What has a `format` and offers its numbers as its own."""

    format: TokenFormat

    @property
    def token_rate(self) -> int:
        """Tokens per second, both streams together."""
        return self.format.token_rate

    @property
    def semantic_vocab_size(self) -> int:
        """Entries of the semantic codebook."""
        return self.format.semantic_vocab_size

    @property
    def acoustic_vocab_size(self) -> int:
        """Entries of the acoustic codebook."""
        return self.format.acoustic_vocab_size

    @property
    def sample_rate(self) -> int:
        """Samples per second of the decoded audio."""
        return self.format.sample_rate

    @property
    def vocab_sizes(self) -> tuple[int, int]:
        """Entries of the semantic and of the acoustic codebook."""
        return self.format.vocab_sizes

    @property
    def bitrate(self) -> float:
        """Bits per second of the codes alone, without container (paper Table I)."""
        return self.format.bitrate

    @property
    def hop_length(self) -> int:
        """Samples of one time step, a column of positions: 2560 or 5120."""
        return self.format.samples_per_column

    @property
    def frame_rate(self) -> float:
        """Time steps per second, sample_rate / hop_length: 6.25 or 3.125.

        Each is a column of 8 or 4 positions, one for each frequency band; `positions_per_second`
        counts them all.
        """
        return self.format.columns_per_second

    @property
    def columns_per_second(self) -> float:
        """Time steps per second, see `frame_rate`."""
        return self.format.columns_per_second

    @property
    def positions_per_second(self) -> float:
        """Positions per second; each carries one semantic and one acoustic code."""
        return self.format.positions_per_second

"""The codes of a batch of recordings, with the settings that give them meaning.

Shapes: B batch · L positions. Layouts of the two streams s (semantic) and a (acoustic):

    stacked      [B, 2, L]   s0 s1 s2 ... / a0 a1 a2 ...
    paired       [B, L, 2]   (s0 a0) (s1 a1) (s2 a2) ...
    interleaved  [B, 2L]     s0 a0 s1 a1 s2 a2 ...     a moved up by the semantic vocabulary
"""

import math
import operator
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import torch
from jaxtyping import Int, Integer, Shaped
from torch import Tensor
from torch.nn import functional

from semanticodec.container import Header, Writer, read
from semanticodec.container.format import (
    FINGERPRINT_SIZE,
    TOKEN_RATES,
    num_positions,
    positions_per_window,
    samples_per_position,
)
from semanticodec.errors import CodesError

UNKNOWN_FINGERPRINT = bytes(FINGERPRINT_SIZE)


@dataclass(frozen=True, eq=False)
class Codes:
    """Semantic and acoustic codes of B recordings, padded to the longest.

    Positions behind an item's own end mean nothing and are set to 0. Iterating and indexing
    give single items without padding.

    Args:
        semantic: any integer type, in [0, semantic_vocab_size); becomes int64.
        acoustic: likewise, in [0, acoustic_vocab_size).
        num_samples: length of each item's audio at sample_rate, each at least 1.
        token_rate: 25, 50 or 100 tokens per second, both streams together.
        semantic_vocab_size: entries of the semantic codebook.
        acoustic_vocab_size: entries of the acoustic codebook.
        sample_rate: of the decoded audio, Hz.
        fingerprint: 8 bytes that name the model; zeros: unknown.
    Raises:
        CodesError: shapes, types, ranges or lengths that do not fit together.
    """

    semantic: Integer[Tensor, "B L"]
    acoustic: Integer[Tensor, "B L"]
    num_samples: tuple[int, ...]
    token_rate: int
    semantic_vocab_size: int
    acoustic_vocab_size: int
    sample_rate: int = 16000
    fingerprint: bytes = UNKNOWN_FINGERPRINT

    def __post_init__(self) -> None:
        self._check_settings()
        object.__setattr__(self, "num_samples", _checked_lengths(self.num_samples))
        self._check_shapes()
        lengths = torch.tensor(self.num_positions, device=self.semantic.device)
        places = torch.arange(self.semantic.shape[1], device=self.semantic.device)
        is_padding = places >= lengths[:, None]
        for name, vocab_size in (
            ("semantic", self.semantic_vocab_size),
            ("acoustic", self.acoustic_vocab_size),
        ):
            stream = _as_int64(f"{name} codes", getattr(self, name)).masked_fill(is_padding, 0)
            lowest, highest = (int(bound) for bound in stream.aminmax())
            if lowest < 0 or highest >= vocab_size:
                raise CodesError(
                    f"{name} codes from {lowest} to {highest}; the vocabulary allows 0 to "
                    f"{vocab_size - 1}: check which model and layout the codes belong to"
                )
            object.__setattr__(self, name, stream)

    def _check_settings(self) -> None:
        if self.token_rate not in TOKEN_RATES:
            raise CodesError(
                f"token rate {self.token_rate}; 25, 50 and 100 tokens per second exist: "
                "give the rate of the model that made the codes"
            )
        for name in ("semantic_vocab_size", "acoustic_vocab_size", "sample_rate"):
            if getattr(self, name) < 1:
                raise CodesError(
                    f"{name} {getattr(self, name)}; at least 1 is allowed: "
                    "give the setting of the model that made the codes"
                )
        if not isinstance(self.fingerprint, bytes) or len(self.fingerprint) != FINGERPRINT_SIZE:
            raise CodesError(
                f"fingerprint {self.fingerprint!r}; {FINGERPRINT_SIZE} bytes are allowed: "
                f"give the model's, or bytes({FINGERPRINT_SIZE}) where it is unknown"
            )

    def _check_shapes(self) -> None:
        semantic, acoustic = self.semantic, self.acoustic
        if semantic.ndim != 2 or semantic.shape != acoustic.shape:
            raise CodesError(
                f"semantic codes of shape {list(semantic.shape)} and acoustic codes of shape "
                f"{list(acoustic.shape)}; two of the same shape [B, L] are allowed"
            )
        if semantic.device != acoustic.device:
            raise CodesError(
                f"semantic codes on {semantic.device} and acoustic codes on {acoustic.device}; "
                "move both to one device"
            )
        if len(self.num_samples) != len(semantic):
            raise CodesError(
                f"{len(self.num_samples)} lengths for {len(semantic)} items; "
                "give num_samples one entry per item"
            )
        longest = max(self.num_positions)
        if semantic.shape[1] != longest:
            raise CodesError(
                f"{semantic.shape[1]} positions; the longest item's {max(self.num_samples)} "
                f"samples take {longest} at token rate {self.token_rate}: give whole columns and "
                "the right num_samples"
            )

    # --- what is in it ---

    @property
    def num_positions(self) -> tuple[int, ...]:
        """Positions of each item without padding."""
        return tuple(num_positions(samples, self.token_rate) for samples in self.num_samples)

    @property
    def duration_s(self) -> tuple[float, ...]:
        """Seconds of audio of each item."""
        return tuple(samples / self.sample_rate for samples in self.num_samples)

    @property
    def bitrate(self) -> float:
        """Bits per second of the codes alone, without container."""
        bits = math.log2(self.semantic_vocab_size) + math.log2(self.acoustic_vocab_size)
        return self.token_rate / 2 * bits

    @property
    def device(self) -> torch.device:
        """Where the codes are."""
        return self.semantic.device

    def to(self, device: torch.device | str) -> "Codes":
        """Return the same codes on another device."""
        return replace(self, semantic=self.semantic.to(device), acoustic=self.acoustic.to(device))

    def __len__(self) -> int:
        return len(self.num_samples)

    def __getitem__(self, index: int) -> "Codes":
        """Return one item as a batch of one, without padding."""
        item = range(len(self))[index]  # negative ones too; IndexError behind the last
        length = self.num_positions[item]
        return replace(
            self,
            semantic=self.semantic[item : item + 1, :length],
            acoustic=self.acoustic[item : item + 1, :length],
            num_samples=self.num_samples[item : item + 1],
        )

    def __iter__(self) -> Iterator["Codes"]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Say whether codes, lengths and settings are the same; the device does not matter."""
        if not isinstance(other, Codes):
            return NotImplemented
        if self.num_samples != other.num_samples or self._settings() != other._settings():
            return False
        return torch.equal(self.stacked().cpu(), other.stacked().cpu())

    @classmethod
    def cat(cls, items: Sequence["Codes"]) -> "Codes":
        """Return one batch of all items in order, shorter ones padded with 0.

        Args:
            items: at least one, of the same settings and device; each may be a batch itself.
        Raises:
            CodesError: no item, or settings that differ.
        """
        if not items:
            raise CodesError("no codes to join; give at least one")
        first = items[0]
        for item in items[1:]:
            for name, setting in first._settings().items():
                if item._settings()[name] != setting:
                    raise CodesError(
                        f"codes of {name} {setting!r} and {item._settings()[name]!r} cannot share "
                        "a batch: join codes of one model only"
                    )
            if item.device != first.device:
                raise CodesError(
                    f"codes on {first.device} and {item.device} cannot share a batch: "
                    "move them to one device with .to(device)"
                )
        longest = max(item.semantic.shape[1] for item in items)
        padded = [
            functional.pad(item.stacked(), (0, longest - item.semantic.shape[1])) for item in items
        ]
        semantic, acoustic = torch.cat(padded).unbind(1)  # B 2 L -> B L, B L
        lengths = sum((item.num_samples for item in items), ())
        return replace(first, semantic=semantic, acoustic=acoustic, num_samples=lengths)

    # --- layouts ---

    def stacked(self) -> Int[Tensor, "B 2 L"]:
        """Return both streams one above the other, semantic first."""
        return torch.stack((self.semantic, self.acoustic), dim=1)

    def paired(self) -> Int[Tensor, "B L 2"]:
        """Return one (semantic, acoustic) pair per position, the official class's layout."""
        return torch.stack((self.semantic, self.acoustic), dim=2)

    def interleaved(self, offset: bool = True) -> Int[Tensor, "B L2"]:
        """Return flat ids s0 a0 s1 a1 ... for language models.

        Args:
            offset: whether acoustic ids are moved up by the semantic vocabulary, so that ids
                of both streams share one range [0, semantic + acoustic vocabulary).
        """
        shift = self.semantic_vocab_size if offset else 0
        return torch.stack((self.semantic, self.acoustic + shift), dim=2).flatten(1)

    @classmethod
    def from_stacked(
        cls,
        stacked: Integer[Tensor, "B 2 L"],
        *,
        token_rate: int,
        semantic_vocab_size: int,
        acoustic_vocab_size: int,
        num_samples: Sequence[int] | None = None,
        sample_rate: int = 16000,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
    ) -> "Codes":
        """Return the codes whose `stacked()` this is.

        Args:
            stacked: semantic and acoustic stream.
            token_rate: and the other settings: see Codes.
            semantic_vocab_size: see Codes.
            acoustic_vocab_size: see Codes.
            num_samples: length of each item's audio; None: it fills the positions.
            sample_rate: see Codes.
            fingerprint: see Codes.
        Raises:
            CodesError: another shape, or codes that do not fit the settings.
        """
        if stacked.ndim != 3 or stacked.shape[1] != 2:
            raise CodesError(f"stacked codes of shape {list(stacked.shape)}; give [B, 2, L]")
        semantic, acoustic = stacked.unbind(1)  # B 2 L -> B L, B L
        if num_samples is None and token_rate in TOKEN_RATES:
            filled = semantic.shape[1] * samples_per_position(token_rate)
            num_samples = (filled,) * len(semantic)
        return cls(
            semantic=semantic,
            acoustic=acoustic,
            num_samples=tuple(num_samples or ()),
            token_rate=token_rate,
            semantic_vocab_size=semantic_vocab_size,
            acoustic_vocab_size=acoustic_vocab_size,
            sample_rate=sample_rate,
            fingerprint=fingerprint,
        )

    @classmethod
    def from_paired(
        cls,
        paired: Integer[Tensor, "B L 2"],
        *,
        token_rate: int,
        semantic_vocab_size: int,
        acoustic_vocab_size: int,
        num_samples: Sequence[int] | None = None,
        sample_rate: int = 16000,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
    ) -> "Codes":
        """Return the codes whose `paired()` this is; arguments as for `from_stacked`."""
        if paired.ndim != 3 or paired.shape[2] != 2:
            raise CodesError(f"paired codes of shape {list(paired.shape)}; give [B, L, 2]")
        return cls.from_stacked(
            paired.transpose(1, 2),  # B L 2 -> B 2 L
            token_rate=token_rate,
            semantic_vocab_size=semantic_vocab_size,
            acoustic_vocab_size=acoustic_vocab_size,
            num_samples=num_samples,
            sample_rate=sample_rate,
            fingerprint=fingerprint,
        )

    @classmethod
    def from_interleaved(
        cls,
        interleaved: Integer[Tensor, "B L2"],
        *,
        token_rate: int,
        semantic_vocab_size: int,
        acoustic_vocab_size: int,
        num_samples: Sequence[int] | None = None,
        sample_rate: int = 16000,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
        offset: bool = True,
    ) -> "Codes":
        """Return the codes whose `interleaved(offset)` this is; the rest as for `from_stacked`.

        Args:
            offset: whether acoustic ids were moved up by the semantic vocabulary.
        """
        if interleaved.ndim != 2 or interleaved.shape[1] % 2:
            raise CodesError(
                f"interleaved ids of shape {list(interleaved.shape)}; give [B, 2L]: a semantic and "
                "an acoustic id for every position"
            )
        # int64 before the shift: small types would wrap around
        paired = _as_int64("interleaved ids", interleaved).unflatten(1, (-1, 2))  # B 2L -> B L 2
        if offset:
            paired = paired - torch.tensor([0, semantic_vocab_size], device=paired.device)
        return cls.from_paired(
            paired,
            token_rate=token_rate,
            semantic_vocab_size=semantic_vocab_size,
            acoustic_vocab_size=acoustic_vocab_size,
            num_samples=num_samples,
            sample_rate=sample_rate,
            fingerprint=fingerprint,
        )

    # --- files ---

    def save(self, target: str | os.PathLike[str] | BinaryIO) -> None:
        """Write one item as `.smtc`, a path at once or not at all.

        Args:
            target: a path, or a binary file object or pipe.
        Raises:
            CodesError: a batch of several items.
            ContainerError: a vocabulary size that is not a power of two up to 65536.
        """
        if len(self) != 1:
            raise CodesError(
                f"{len(self)} items; a .smtc file holds one: save each with "
                "`for i, item in enumerate(codes): item.save(f'{i}.smtc')`"
            )
        header = Header(
            token_rate=self.token_rate,
            semantic_vocab_size=self.semantic_vocab_size,
            acoustic_vocab_size=self.acoustic_vocab_size,
            sample_rate=self.sample_rate,
            num_samples=self.num_samples[0],
            fingerprint=self.fingerprint,
        )
        window = positions_per_window(self.token_rate)
        semantic, acoustic = self.semantic[0].cpu().numpy(), self.acoustic[0].cpu().numpy()
        with Writer(target, header) as writer:
            for start in range(0, len(semantic), window):
                end = start + window
                writer.write_block(semantic[start:end], acoustic[start:end])

    @classmethod
    def load(
        cls, source: str | os.PathLike[str] | bytes | BinaryIO, *, conceal: bool = False
    ) -> "Codes":
        """Return the codes of a `.smtc` file, on the CPU.

        Args:
            source: a path, the bytes of a file, or a binary file object or pipe.
            conceal: stand in for damaged blocks, with a warning, instead of raising.
        Raises:
            ContainerError: not a valid file; with `conceal`, a damaged header or no block.
        """
        header, semantic, acoustic, is_concealed = read(source, conceal=conceal)
        if is_concealed.any():
            warnings.warn(
                f"{is_concealed.sum()} of {len(is_concealed)} positions were damaged and are "
                "concealed",
                stacklevel=2,
            )
        assert header.num_samples is not None
        return cls(
            semantic=torch.from_numpy(semantic)[None],
            acoustic=torch.from_numpy(acoustic)[None],
            num_samples=(header.num_samples,),
            token_rate=header.token_rate,
            semantic_vocab_size=header.semantic_vocab_size,
            acoustic_vocab_size=header.acoustic_vocab_size,
            sample_rate=header.sample_rate,
            fingerprint=header.fingerprint,
        )

    def _settings(self) -> dict[str, int | bytes]:
        return {
            "token_rate": self.token_rate,
            "semantic_vocab_size": self.semantic_vocab_size,
            "acoustic_vocab_size": self.acoustic_vocab_size,
            "sample_rate": self.sample_rate,
            "fingerprint": self.fingerprint,
        }


def _as_int64(what: str, stream: Shaped[Tensor, " ..."]) -> Int[Tensor, " ..."]:
    if stream.is_floating_point() or stream.is_complex() or stream.dtype == torch.bool:
        raise CodesError(f"{what} of type {stream.dtype}; give integers")
    return stream.long()


def _checked_lengths(num_samples: Sequence[int]) -> tuple[int, ...]:
    try:
        lengths = tuple(operator.index(samples) for samples in num_samples)
    except TypeError as error:
        raise CodesError(
            f"num_samples {num_samples!r}; give one whole number per item, such as (16000,)"
        ) from error
    if not lengths or min(lengths) < 1:
        raise CodesError(f"num_samples {lengths}; give at least one item, each of 1 sample or more")
    return lengths

"""The codes of a batch of recordings, with the settings that give them meaning.

Shapes: B batch · L positions. `token_layouts` has the layouts of the two streams.
"""

import io
import operator
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO

import torch
from jaxtyping import Int, Integer
from torch import Tensor
from torch.nn import functional as F

from semanticodec.container import Header, PayloadCoder, Writer, read
from semanticodec.container.format import FINGERPRINT_SIZE
from semanticodec.device import checked_device
from semanticodec.errors import CodesError, ConfigError, told
from semanticodec.files import checked_path
from semanticodec.token_format import Formatted, TokenFormat
from semanticodec.token_layouts import Ids, as_ids, from_stacked, to_stacked, whole_columns

UNKNOWN_FINGERPRINT = bytes(FINGERPRINT_SIZE)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Codes(Formatted):
    """Semantic and acoustic codes of B recordings, padded to the longest.

    Positions behind an item's own end mean nothing and are set to 0. Iterating and indexing
    give single items without padding. Codes are compared by value and may be changed in place,
    so they have no hash: take `(codes.stacked().numpy().tobytes(), codes.num_samples)` as a key.

    Attributes:
        semantic: semantic codes, int64 in [0, semantic_vocab_size).
        acoustic: acoustic codes, int64 in [0, acoustic_vocab_size).
        num_samples: length of each item's audio at sample_rate, at least 1.
        format: token rate, vocabularies and sample rate.
        fingerprint: 8 bytes that name the model; zeros: unknown.
    """

    semantic: Integer[Tensor, "B L"]
    acoustic: Integer[Tensor, "B L"]
    num_samples: tuple[int, ...]
    format: TokenFormat
    fingerprint: bytes

    __array_ufunc__ = None  # numpy's values leave comparing to `__eq__`

    def __init__(
        self,
        semantic: Ids,
        acoustic: Ids,
        num_samples: Sequence[int],
        format: TokenFormat | None = None,
        *,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
        **settings: int,
    ) -> None:
        """Check that everything fits together.

        Args:
            semantic: integers of any type, [B, L].
            acoustic: likewise.
            num_samples: length of each item's audio at sample_rate.
            format: token rate, vocabularies and sample rate: a codec's `format`.
            fingerprint: 8 bytes that name the model; zeros: unknown.
            settings: token_rate, semantic_vocab_size, acoustic_vocab_size and sample_rate, in
                place of `format` or to change it.
        Raises:
            CodesError: shapes, types, ranges or lengths that do not fit together.
        """
        self._set(format=_checked_format(format, settings), fingerprint=fingerprint)
        if not isinstance(fingerprint, bytes) or len(fingerprint) != FINGERPRINT_SIZE:
            raise CodesError(
                f"fingerprint {told(fingerprint)}; {FINGERPRINT_SIZE} bytes are allowed: "
                f"give the model's, or bytes({FINGERPRINT_SIZE}) where it is unknown"
            )
        self._set(num_samples=checked_lengths(num_samples))
        with torch.inference_mode(False):  # codes made under it could not be trained on
            self._set(
                semantic=as_ids("semantic codes", semantic),
                acoustic=as_ids("acoustic codes", acoustic),
            )
            self._check_shapes()
            self._clear_padding()

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _clear_padding(self) -> None:
        """Put 0 behind the end of every item and check the codes before it."""
        device = self.semantic.device
        lengths = torch.tensor(self.num_positions, device=device)
        is_padding = torch.arange(self.semantic.shape[1], device=device) >= lengths[:, None]
        names = ("semantic", "acoustic")
        for name, vocab_size in zip(names, self.format.vocab_sizes, strict=True):
            stream = getattr(self, name).masked_fill(is_padding, 0)
            lowest, highest = (int(bound) for bound in stream.aminmax())
            if lowest < 0 or highest >= vocab_size:
                raise CodesError(
                    f"{name} codes from {lowest} to {highest}; the vocabulary allows 0 to "
                    f"{vocab_size - 1}: check which model and layout the codes belong to"
                )
            self._set(**{name: stream})

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
        if semantic.is_meta:
            raise CodesError("codes on the device meta; give tensors with codes in them")
        if len(self.num_samples) != len(semantic):
            raise CodesError(
                f"{len(self.num_samples)} lengths for {len(semantic)} items; "
                "give num_samples one entry per item"
            )
        longest = max(self.num_positions)
        if semantic.shape[1] != longest:
            raise CodesError(
                f"{semantic.shape[1]} positions; the longest item's {max(self.num_samples)} "
                f"samples take {longest} at token rate {self.token_rate}: give whole columns (or "
                "partial='cut' or 'fill') and the right num_samples"
            )

    # --- what is in it ---

    @property
    def num_positions(self) -> tuple[int, ...]:
        """Positions of each item without padding."""
        return tuple(map(self.format.num_positions, self.num_samples))

    @property
    def duration_s(self) -> tuple[float, ...]:
        """Seconds of audio of each item."""
        return tuple(samples / self.sample_rate for samples in self.num_samples)

    @property
    def device(self) -> torch.device:
        """Where the codes are."""
        return self.semantic.device

    def to(self, device: torch.device | str) -> "Codes":
        """Return the same codes on another device; "auto" is the fastest one present."""
        device = checked_device(device)
        return replace(self, semantic=self.semantic.to(device), acoustic=self.acoustic.to(device))

    def __len__(self) -> int:
        return len(self.num_samples)

    def __repr__(self) -> str:
        """Return what is in it in one line, without the codes themselves."""
        shortest, longest = min(self.duration_s), max(self.duration_s)
        seconds = f"{longest:.2f}" if shortest == longest else f"{shortest:.2f} to {longest:.2f}"
        sizes = " + ".join(map(str, self.format.vocab_sizes))
        is_known = self.fingerprint != UNKNOWN_FINGERPRINT
        return (
            f"Codes({len(self)} x {self.semantic.shape[1]} positions, {self.token_rate} tokens/s, "
            f"{seconds} s, vocabularies {sizes}, "
            f"model {self.fingerprint.hex() if is_known else 'unknown'})"
        )

    def __getitem__(self, index: int | slice) -> "Codes":
        """Return one item as a batch of one without padding, or the batch of a slice."""
        if isinstance(index, slice):
            return Codes.cat([self[item] for item in range(len(self))[index]])
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
            items: one or more `Codes` of the same settings and device; each may be a batch itself.
        Raises:
            CodesError: no item, or settings that differ.
        """
        if not isinstance(items, Sequence) or isinstance(items, str):
            raise CodesError(f"{told(items)} cannot be joined; give a list of codes")
        if not items:
            raise CodesError("no codes to join; give at least one")
        for item in items:
            if not isinstance(item, Codes):
                raise CodesError(f"{told(item)} among codes to join; give codes only")
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
        if len(items) == 1:
            return first
        longest = max(item.semantic.shape[1] for item in items)
        padded = [F.pad(item.stacked(), (0, longest - item.semantic.shape[1])) for item in items]
        semantic, acoustic = torch.cat(padded).unbind(1)  # B 2 L -> B L, B L
        lengths = sum((item.num_samples for item in items), ())
        return replace(first, semantic=semantic, acoustic=acoustic, num_samples=lengths)

    @staticmethod
    def collate(batch: Sequence[Any]) -> Any:
        """Join what a dataset gave for several items: the `collate_fn` of a `DataLoader`.

        Args:
            batch: codes, or tuples or dictionaries with codes somewhere in them.
        Returns:
            Codes joined by `cat`; everything else as torch's `default_collate` joins it.
        """
        first = batch[0]
        if isinstance(first, Codes):
            return Codes.cat(batch)
        if isinstance(first, Mapping):
            return {name: Codes.collate([item[name] for item in batch]) for name in first}
        if isinstance(first, (tuple, list)):
            return tuple(map(Codes.collate, zip(*batch, strict=True)))
        return torch.utils.data.default_collate(list(batch))

    # --- layouts ---

    def stacked(self) -> Int[Tensor, "B 2 L"]:
        """Return both streams one above the other, semantic first."""
        return torch.stack((self.semantic, self.acoustic), dim=1)

    def paired(self) -> Int[Tensor, "B L 2"]:
        """Return one (semantic, acoustic) pair per position, the official class's layout."""
        return from_stacked(self.stacked(), "paired", 0).contiguous()

    def interleaved(self, offset: bool = True) -> Int[Tensor, "B L2"]:
        """Return flat ids s0 a0 s1 a1 ... for language models.

        Args:
            offset: whether acoustic ids are moved up by the semantic vocabulary, so that ids
                of both streams share one range [0, semantic + acoustic vocabulary).
        """
        shift = _shift(self.format, offset)
        return from_stacked(self.stacked(), "interleaved", shift)

    @classmethod
    def from_ids(
        cls,
        ids: Ids,
        layout: str = "stacked",
        *,
        format: TokenFormat | None = None,
        num_samples: Sequence[int] | None = None,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
        offset: bool = True,
        partial: str = "refuse",
        **settings: int,
    ) -> "Codes":
        """Return the codes of ids in any layout; `SemantiCodec.codes_from` knows the rest.

        Args:
            ids: tensor, array or nested list of integers.
            layout: "stacked" [B, 2, L], "paired" [B, L, 2] or "interleaved" [B, 2L].
            format: token rate, vocabularies and sample rate: a codec's `format`.
            num_samples: length of each item's audio; None: it fills the positions.
            fingerprint: 8 bytes that name the model; zeros: unknown.
            offset: whether interleaved acoustic ids were moved up by the semantic vocabulary.
            partial: treatment of a last column that is not whole: "refuse", "cut" it off, or
                "fill" its missing bands as in the column before (a half position is cut off).
            settings: attributes of `TokenFormat` by name, in place of `format` or to change it.
        Raises:
            CodesError: another shape, or codes that do not fit the settings.
        """
        format = _checked_format(format, settings)
        shift = _shift(format, offset)
        streams = to_stacked(ids, layout, shift=shift, is_odd_cut=partial != "refuse")
        streams = whole_columns(streams, format.positions_per_column, partial)
        semantic, acoustic = streams.unbind(1)  # B 2 L -> B L, B L
        if num_samples is None:
            num_samples = (semantic.shape[1] * format.samples_per_position,) * len(semantic)
        return cls(semantic, acoustic, num_samples, format, fingerprint=fingerprint)

    @classmethod
    def from_stacked(
        cls,
        stacked: Ids,
        *,
        format: TokenFormat | None = None,
        num_samples: Sequence[int] | None = None,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
        **settings: int,
    ) -> "Codes":
        """Return the codes whose `stacked()` this is; arguments as for `from_ids`."""
        known = _checked_format(format, settings)
        return cls.from_ids(
            stacked, "stacked", format=known, num_samples=num_samples, fingerprint=fingerprint
        )

    @classmethod
    def from_paired(
        cls,
        paired: Ids,
        *,
        format: TokenFormat | None = None,
        num_samples: Sequence[int] | None = None,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
        **settings: int,
    ) -> "Codes":
        """Return the codes whose `paired()` this is; arguments as for `from_ids`."""
        known = _checked_format(format, settings)
        return cls.from_ids(
            paired, "paired", format=known, num_samples=num_samples, fingerprint=fingerprint
        )

    @classmethod
    def from_interleaved(
        cls,
        interleaved: Ids,
        *,
        format: TokenFormat | None = None,
        num_samples: Sequence[int] | None = None,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
        offset: bool = True,
        **settings: int,
    ) -> "Codes":
        """Return the codes whose `interleaved(offset)` this is; arguments as for `from_ids`."""
        return cls.from_ids(
            interleaved,
            "interleaved",
            format=_checked_format(format, settings),
            num_samples=num_samples,
            fingerprint=fingerprint,
            offset=offset,
        )

    # --- files ---

    def save(
        self, target: str | os.PathLike[str] | BinaryIO, *, coder: PayloadCoder | None = None
    ) -> None:
        """Write one item as `.smtc`, a path at once or not at all.

        Args:
            target: a path, or a binary file object or pipe.
            coder: the codec's `entropy_coder`, for a smaller file of the same codes.
        Raises:
            CodesError: a batch of several items.
            ConfigError: no path or file, or no coder.
            ContainerError: a vocabulary size that is not a power of two up to 65536.
        """
        if len(self) != 1:
            raise CodesError(
                f"{len(self)} items; a .smtc file holds one: save each with "
                "`for i, item in enumerate(codes): item.save(f'{i}.smtc')`"
            )
        if isinstance(target, (str, os.PathLike)):
            checked_path(target, "the .smtc file")
        elif not hasattr(target, "write") or isinstance(target, io.TextIOBase):
            raise ConfigError(f"{told(target)} takes no bytes; give a path, or a file opened 'wb'")
        _check_coder(coder)
        header = Header(
            self.format,
            num_samples=self.num_samples[0],
            fingerprint=self.fingerprint,
            tables=None if coder is None else coder.tables,
        )
        window = self.format.positions_per_window
        semantic, acoustic = self.semantic[0].cpu().numpy(), self.acoustic[0].cpu().numpy()
        with Writer(target, header, coder) as writer:
            for start in range(0, len(semantic), window):
                end = start + window
                writer.write_block(semantic[start:end], acoustic[start:end])

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        *,
        conceal: bool = False,
        coder: PayloadCoder | None = None,
    ) -> "Codes":
        """Return the codes of a `.smtc` file, on the CPU.

        Args:
            source: a path, the bytes of a file, or a binary file object or pipe.
            conceal: stand in for damaged blocks, with a warning, instead of raising.
            coder: the codec's `entropy_coder`, which entropy-coded files need.
        Raises:
            ConfigError: no coder.
            ContainerError: not a valid file, or one that needs another coder; with `conceal`, a
                damaged header or no block.
        """
        _check_coder(coder)
        header, semantic, acoustic, is_concealed = read(source, conceal=conceal, coder=coder)
        if is_concealed.any():
            warnings.warn(
                f"{is_concealed.sum()} of {len(is_concealed)} positions were damaged and are "
                "concealed",
                stacklevel=2,
            )
        assert header.num_samples is not None
        return cls(
            semantic[None],
            acoustic[None],
            (header.num_samples,),
            header.format,
            fingerprint=header.fingerprint,
        )

    def _settings(self) -> dict[str, int | bytes]:
        return {**asdict(self.format), "fingerprint": self.fingerprint}


def _checked_format(format: TokenFormat | None, settings: Mapping[str, int]) -> TokenFormat:
    try:
        return TokenFormat.of(format, settings)
    except ConfigError as error:
        raise CodesError(str(error)) from error


def _check_coder(coder: PayloadCoder | None) -> None:
    if coder is not None and not hasattr(coder, "tables"):
        raise ConfigError(f"coder is {told(coder)}; give codec.entropy_coder, or None")


def _shift(format: TokenFormat, offset: bool) -> int:
    """Return how far interleaved acoustic ids are moved up."""
    if not isinstance(offset, bool):
        raise CodesError(f"offset is {told(offset)}; give True or False")
    return format.semantic_vocab_size if offset else 0


def checked_lengths(num_samples: Sequence[int]) -> tuple[int, ...]:
    """Return the lengths of one or more items in samples, or raise a `CodesError`."""
    try:
        lengths = tuple(operator.index(samples) for samples in num_samples)
    except TypeError as error:
        raise CodesError(
            f"num_samples {told(num_samples)}; give one whole number per item, such as (16000,)"
        ) from error
    if not lengths or min(lengths) < 1:
        raise CodesError(
            f"num_samples {told(lengths)}; give at least one item, each of 1 sample or more"
        )
    return lengths

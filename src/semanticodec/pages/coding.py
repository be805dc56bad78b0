"""The work behind the pages, step by step: each step can be shown, and be the last one."""

from __future__ import annotations

import io
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from semanticodec.codes import Codes
from semanticodec.pages.codecs import Codecs
from semanticodec.token_format import NUM_STREAMS

if TYPE_CHECKING:
    from semanticodec.codec import SemantiCodec


ORIGINAL = "Original"


class Progress(NamedTuple):
    """How far the work is.

    Attributes:
        text: what is being done.
        share: how much of all is done, 0 to 1.
    """

    text: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Coding:
    """A sound that was decoded from its codes.

    Attributes:
        codes: its codes.
        stored: its `.smtc` file.
        wav: its waveform.
        encode_s: time that encoding took, in seconds; None where the codes were given.
        decode_s: time that decoding took, in seconds.
    """

    codes: Codes
    stored: bytes
    wav: Float[np.ndarray, " S"]
    encode_s: float | None
    decode_s: float

    @property
    def num_tokens(self) -> int:
        """Codes of both streams."""
        return NUM_STREAMS * self.codes.num_positions[0]

    @property
    def kbps(self) -> float:
        """Kilobits per second of the `.smtc` file, its header included."""
        return len(self.stored) * 8 / self.codes.duration_s[0] / 1000


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How to decode.

    Attributes:
        quality: name of the model's sampling settings.
        seed: random seed of the initial noise.
    """

    quality: str = "standard"
    seed: int = 0


Steps = Generator[Progress, None, Coding]


def rate_name(coding: Coding) -> str:
    """Return what a page calls a coding among those of other token rates."""
    return f"{coding.codes.token_rate} tokens/s"


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A part of the work that is shown as one, from `start` to `end` of it all."""

    name: str = ""
    start: float = 0.0
    end: float = 1.0

    def at(self, what: str, share: float) -> Progress:
        text = f"{self.name}: {what.lower()}" if self.name else what
        return Progress(text, self.start + share * (self.end - self.start))


def code(
    codecs: Codecs,
    wav: Float[np.ndarray, " S"],
    token_rate: int,
    semantic_vocab_size: int | None,
    decoding: Decoding,
) -> Steps:
    """Encode and decode a sound.

    Args:
        codecs: codecs of the model.
        wav: waveform at 16 kHz.
        token_rate: tokens per second.
        semantic_vocab_size: entries of the semantic codebook; None for the largest.
        decoding: how to decode.
    Yields:
        How far it is.
    Returns:
        The result.
    """
    return (yield from _code(codecs, wav, token_rate, semantic_vocab_size, decoding, _Part()))


def compare(
    codecs: Codecs, wav: Float[np.ndarray, " S"], decoding: Decoding
) -> Generator[Progress, None, list[Coding]]:
    """Encode and decode a sound at every token rate, the highest first; see `code`."""
    codings = []
    rates = codecs.token_rates
    for number, rate in enumerate(rates):
        part = _Part(
            name=f"{rate} tokens/s", start=number / len(rates), end=(number + 1) / len(rates)
        )
        codings.append((yield from _code(codecs, wav, rate, None, decoding, part)))
    return codings


def decode(codecs: Codecs, codes: Codes, decoding: Decoding) -> Steps:
    """Decode a recording's codes; see `code`.

    Raises:
        CodesError: codes of another model.
        ConfigError: codes of a setting that the model does not offer.
    """
    yield Progress("Loading the model", 0.0)
    codec = codecs.get(codes.token_rate, codes.semantic_vocab_size)
    return (yield from _decode(codec, codes, decoding, _Part(), None))


def _code(
    codecs: Codecs,
    wav: Float[np.ndarray, " S"],
    token_rate: int,
    semantic_vocab_size: int | None,
    decoding: Decoding,
    part: _Part,
) -> Steps:
    yield part.at("Loading the model", 0.0)
    codec = codecs.get(token_rate, semantic_vocab_size)
    yield part.at("Encoding", 0.05)
    started = time.perf_counter()
    codes = codec.encode(torch.from_numpy(wav))
    encode_s = time.perf_counter() - started
    return (yield from _decode(codec, codes, decoding, part, encode_s))


def _decode(
    codec: SemantiCodec, codes: Codes, decoding: Decoding, part: _Part, encode_s: float | None
) -> Steps:
    yield part.at("Decoding", 0.4)
    stored = io.BytesIO()
    codes.save(stored)
    blocks, done, total = [], 0, codes.num_samples[0]
    started = time.perf_counter()
    for block in codec.decode_stream(codes, quality=decoding.quality, seed=decoding.seed):
        blocks.append(block.flatten().numpy())
        done += len(blocks[-1])
        yield part.at("Decoding", 0.4 + 0.6 * done / total)
    return Coding(
        codes=codes,
        stored=stored.getvalue(),
        wav=np.concatenate(blocks),
        encode_s=encode_s,
        decode_s=time.perf_counter() - started,
    )

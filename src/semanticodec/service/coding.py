"""What requests ask for: sound -> codes -> sound, in pieces that the queue's threads compute."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, TypeVar

import numpy as np
import torch

from semanticodec import Codes, SemantiCodec
from semanticodec.audio.io import read_blocks
from semanticodec.audio.streamed import flac_bytes, wav_bytes
from semanticodec.audio.waveforms import Recording
from semanticodec.container import Reader, read_header
from semanticodec.service.batching import WorkQueue
from semanticodec.service.json_codes import codes_of_json
from semanticodec.service.refusals import TooLarge
from semanticodec.token_format import SAMPLE_RATE

# Windows of one request that wait in the queue at a time.
WINDOWS_AHEAD = 8
NAME = "the body"
SOUND_BYTES = {"wav": wav_bytes, "flac": flac_bytes}

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """How sound is made of codes.

    Attributes:
        format: "wav" or "flac".
        quality: "draft", "standard" or "best".
        seed: random seed of the noise.
    """

    format: str = "wav"
    quality: str = "standard"
    seed: int = 0


@dataclass(frozen=True)
class Coding:
    """The codec behind the queue.

    Attributes:
        codec: the codec, shared by all threads.
        queue: where everything is computed that takes time.
        max_samples: longest recording, at 16 kHz.
    """

    codec: SemantiCodec
    queue: WorkQueue
    max_samples: int

    async def encode(self, file: BinaryIO) -> Codes:
        """Return the codes of a sound file, those of `SemantiCodec.encode`.

        Raises:
            AudioError: not a sound file.
            TooLarge: a longer recording.
        """
        encoder = self.codec.recording_encoder()
        windows = encoder.windows(Recording(NAME, self._limited(read_blocks(file))))
        found = []
        while ahead := await self._called(lambda: list(islice(windows, WINDOWS_AHEAD))):
            waiting = [asyncio.wrap_future(self.queue.encode(window)) for window in ahead]
            found += await asyncio.gather(*waiting)
            if ahead[-1].is_last:
                break
        return Codes(
            torch.cat([codes.semantic for codes in found], dim=1),
            torch.cat([codes.acoustic for codes in found], dim=1),
            (sum(codes.num_samples for codes in found),),
            self.codec.format,
            fingerprint=self.codec.model_fingerprint,
        )

    async def read_codes(self, file: BinaryIO, is_json: bool) -> Codes:
        """Return the codes of a body.

        Raises:
            ContainerError: no `.smtc` stream, or a damaged one.
            CheckpointError: an entropy-coded one, for which the model has no tables.
            CodesError: no codes.
            TooLarge: codes of a longer recording.
        """

        def read() -> Codes:
            codes = codes_of_json(file) if is_json else self._load(file)
            self._check_length(codes.num_samples[0])
            return codes

        return await self._called(read)

    async def stream(self, codes: Codes, *, entropy: bool) -> bytes:
        """Return the `.smtc` stream of codes.

        Args:
            codes: codes of one recording.
            entropy: whether to entropy-code it.
        Raises:
            CheckpointError: the model has no tables for that.
        """

        def save() -> bytes:
            memory = io.BytesIO()
            codes.save(memory, coder=self.codec.entropy_coder if entropy else None)
            return memory.getvalue()

        return await self._called(save)

    async def decode(self, codes: Codes, options: DecodeOptions) -> AsyncIterator[bytes]:
        """Yield a sound file piece by piece, as `SemantiCodec.decode_stream` of one thread has it.

        Raises:
            CodesError: codes of another model.
        """
        blocks = self.codec.decode_stream(codes, quality=options.quality, seed=options.seed)
        pieces: Iterator[bytes] = SOUND_BYTES[options.format](
            blocks, codes.num_samples[0], self.codec.sample_rate
        )
        while (piece := await self._called(lambda: next(pieces, None))) is not None:
            if piece:  # an encoder keeps what does not fill a frame
                yield piece

    async def _called(self, work: Callable[[], ResultT]) -> ResultT:
        return await asyncio.wrap_future(self.queue.call(work))

    def _limited(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        total = 0
        for block in blocks:
            total += len(block)
            self._check_length(total)
            yield block

    def _load(self, file: BinaryIO) -> Codes:
        """Return the codes of a stream; too long a one is refused before they stand in memory."""
        header = read_header(file)
        file.seek(0)
        coder = None if header.tables is None else self.codec.entropy_coder
        if header.num_samples is not None:
            self._check_length(header.num_samples)
        else:
            with Reader(file, coder=coder) as reader:
                for _ in reader:
                    self._check_length(reader.num_samples_read)
            file.seek(0)
        return Codes.load(file, coder=coder)

    def _check_length(self, num_samples: int) -> None:
        if num_samples > self.max_samples:
            raise TooLarge(
                f"the recording lasts more than {self.max_samples / SAMPLE_RATE:g} s; "
                "send it in parts"
            )

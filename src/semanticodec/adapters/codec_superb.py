"""Codec-SUPERB's interface (voidful/Codec-SUPERB). Its `SoundCodec/codec/semanticodec.py` is then:

    from semanticodec.adapters.codec_superb import Codec

    data = {"id": "1", "audio": {"array": wav, "sampling_rate": 16_000}}
    Codec().extract_unit(data).unit     # [2, L]: semantic and acoustic stream

The built-in model at 100 tokens per second; a subclass sets `source`, `token_rate` and `device`.
Single items and batches give the same units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from semanticodec.codec import SemantiCodec
from semanticodec.codes import Codes
from semanticodec.errors import MissingDependencyError

try:
    # Not on any package index: this file is used from a clone of the benchmark.
    from SoundCodec.base_codec.general import (  # pyright: ignore[reportMissingImports]
        BaseCodec,
        BatchExtractedUnit,
        ExtractedUnit,
    )
except ModuleNotFoundError as error:
    raise MissingDependencyError(
        "this adapter is imported by Codec-SUPERB, which is not here; run it in a clone of "
        "github.com/voidful/Codec-SUPERB"
    ) from error

Item = Mapping[str, Any]


class Codec(BaseCodec):
    """A codec with the methods that Codec-SUPERB calls; `synth` and `batch_synth` are its own.

    Attributes:
        source: model folder or Hub id; None: the built-in model.
        token_rate: tokens per second (None: the model's own).
        device: device of the model.
        codec: the codec that computes.
        sampling_rate: Hz to which the benchmark resamples.
    """

    source: ClassVar[str | None] = None
    token_rate: ClassVar[int | None] = None
    device: ClassVar[str] = "auto"

    def config(self) -> None:
        """Load the model; the base class calls it."""
        self.codec = SemantiCodec.from_pretrained(
            self.source, token_rate=self.token_rate, device=self.device
        )
        self.sampling_rate = self.codec.sample_rate
        self.setting = f"semanticodec_{self.codec.token_rate}"

    def extract_unit(self, data: Item) -> ExtractedUnit:
        """Return the codes of one item, [2, L], and what `decode_unit` takes."""
        codes = self.codec.encode(*_audio(data))
        return ExtractedUnit(unit=codes.stacked()[0], stuff_for_synth=codes)

    def decode_unit(self, stuff_for_synth: Codes) -> Float[np.ndarray, " S"]:
        """Return the samples of one item, as many as it had."""
        return self.codec.decode(stuff_for_synth)[0, 0].numpy()

    def batch_extract_unit(self, data_list: Sequence[Item]) -> BatchExtractedUnit:
        """Return the codes of several items of one rate or of several."""
        units = [self.extract_unit(data) for data in data_list]
        return BatchExtractedUnit(
            [each.unit for each in units], [each.stuff_for_synth for each in units]
        )

    def batch_decode_unit(self, stuff_for_synth: Sequence[Codes]) -> list[np.ndarray]:
        """Return the samples of several items, decoded together."""
        codes = Codes.cat(list(stuff_for_synth))
        wavs = self.codec.decode(codes)
        return [
            wav[0, :num_samples].numpy()
            for wav, num_samples in zip(wavs, codes.num_samples, strict=True)
        ]

    @property
    def supports_decode(self) -> bool:
        """Whether units can be decoded."""
        return True

    @property
    def is_1d(self) -> bool:
        """Whether there is one stream of units; there are two."""
        return False


def _audio(data: Item) -> tuple[np.ndarray, int]:
    audio = data["audio"]
    return np.asarray(audio["array"], dtype=np.float32), audio["sampling_rate"]

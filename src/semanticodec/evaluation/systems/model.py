"""Our codec as a system, and its two bounds of the paper's Table II.

model           wav -> codes -> wav
oracle          wav -> features that no quantizer has rounded -> wav
semantic-only   wav -> semantic codes -> wav, with zeros for the acoustic features
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.checkpoints.pretrained import model_folder, read_setting
from semanticodec.codec import SemantiCodec
from semanticodec.decoder.sampling import SamplingConfig
from semanticodec.device import DTYPES
from semanticodec.evaluation.systems.base import (
    Detail,
    Reconstruction,
    System,
    bits_per_code,
    file_digests,
)
from semanticodec.evaluation.systems.specs import (
    Spec,
    SystemOptions,
    folder_name,
    limited,
    number,
    one_of,
    read_options,
)

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip

BUILT_IN = "built-in"
# Sampling settings by their keys in a specification; of all others the key is the name.
SHORT_NAMES = {"num_steps": "steps", "guidance_scale": "guidance", "guidance_interval": "interval"}
SAMPLING = {SHORT_NAMES.get(item.name, item.name): item for item in fields(SamplingConfig)}


class CodecSystem(System):
    """The codec, and the settings that it decodes with.

    Args:
        spec: specification of one of the kinds of this file.
        device: device of the model.
    Raises:
        CheckpointError: files missing, damaged or of another model.
        ConfigError: a setting that the model or its sampler does not offer.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(SystemOptions):
        """The model, its setting, and how it decodes; None: the model's own.

        Attributes:
            more: keys of single sampling settings, which replace those of `quality`.
            path: model folder or Hub repository; None: the built-in model.
            rate: tokens per second.
            vocab: entries of the semantic codebook.
            quality: name of a set of sampling settings.
            seed: random seed of the noise.
            dtype: precision of the decoder.
        """

        more: ClassVar[tuple[str, ...]] = tuple(SAMPLING)
        path: str | None = None
        rate: int | None = limited(1, default=None)
        vocab: int | None = limited(1, default=None)
        quality: str | None = None
        seed: int = limited(0, default=0)
        dtype: str = one_of(DTYPES, default="float32")

    def __init__(self, spec: Spec, device: str) -> None:
        options = read_options(spec, type(self).Options)
        self.asked = asked_sampling(spec, options.quality)
        folder = model_folder(options.path)
        self.codec = SemantiCodec.from_pretrained(
            folder,
            token_rate=options.rate,
            semantic_vocab_size=options.vocab,
            device=device,
            dtype=getattr(torch, options.dtype),
        )
        self.settings = self.codec.sampling(**self.asked)
        self.seed = options.seed
        details: dict[str, Detail] = {
            "model": BUILT_IN if options.path is None else folder_name(options.path),
            "device": device,
            "dtype": options.dtype,
        }
        super().__init__(spec, details | self._weights(folder) | self._settings())

    def _weights(self, folder: Path) -> dict[str, Detail]:
        _, files = read_setting(folder, self.codec.token_rate)
        return {
            "fingerprint": self.codec.model_fingerprint.hex(),
            "weights_sha256": file_digests(files),
        }

    def _settings(self) -> dict[str, Detail]:
        return {
            "token_rate": self.codec.token_rate,
            "semantic_vocab_size": self.codec.semantic_vocab_size,
            "acoustic_vocab_size": self.codec.acoustic_vocab_size,
            "pads_windows": self.codec.config.pads_windows,
            **asdict(self.settings),
            "guidance_interval": list(self.settings.guidance_interval),  # as JSON gives it back
            "seed": self.seed,
        }

    def decode_features(
        self, acoustic: Float[Tensor, "1 L D"], semantic: Float[Tensor, "1 L D"], num_samples: int
    ) -> Float[np.ndarray, " S"]:
        """Return the clip that features give in place of codes, with the same settings."""
        decoded = self.codec.decode_features(
            acoustic, semantic, num_samples, self.settings, seed=self.seed
        )
        return decoded[0, 0].numpy()


class Model(CodecSystem):
    """The codec as it is used."""

    @dataclass(frozen=True, kw_only=True)
    class Options(CodecSystem.Options):
        """The codec, and how it encodes.

        Attributes:
            refine: steps of the search for acoustic codes of `SemantiCodec.refine`; None: those
                that the encoder gives.
        """

        refine: int | None = limited(1, default=None)

    def __init__(self, spec: Spec, device: str) -> None:
        super().__init__(spec, device)
        self.num_refining_steps = read_options(spec, Model.Options).refine
        if self.num_refining_steps is not None:
            self.codec.recording_refiner(self.num_refining_steps)  # or an error, before all clips
            self.details["num_refining_steps"] = self.num_refining_steps

    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return the decoded clip and the bits of its codes.

        Raises:
            AudioError: the clip is shorter than a frame.
        """
        codes = self.codec.encode(wav)
        if self.num_refining_steps is not None:
            codes = self.codec.refine(codes, wav, num_steps=self.num_refining_steps)
        decoded = self.codec.decode(codes, seed=self.seed, **self.asked)
        bits = bits_per_code(codes.semantic_vocab_size) + bits_per_code(codes.acoustic_vocab_size)
        return Reconstruction(wav=decoded[0, 0].numpy(), num_bits=bits * codes.num_positions[0])


class Oracle(CodecSystem):
    """The decoder's upper bound: the condition before either quantizer rounds it.

    The paper's "w. GT AudioMAE" gives the decoder the unquantized AudioMAE features.
    """

    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return the clip decoded from unquantized features; they take no countable bits."""
        features = self.codec.features(wav, layers="unquantized")
        acoustic, semantic = features.chunk(2, dim=-1)
        return Reconstruction(wav=self.decode_features(acoustic, semantic, len(wav)), num_bits=None)


class SemanticOnly(CodecSystem):
    """What the semantic codes alone carry, the paper's "w.o. Acoustic VQ".

    The acoustic features are zero, as both streams are where guidance has no condition.
    """

    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return the clip decoded from its semantic codes, and their bits."""
        semantic = self.codec.features(wav, layers="semantic")
        decoded = self.decode_features(torch.zeros_like(semantic), semantic, len(wav))
        bits = bits_per_code(self.codec.semantic_vocab_size) * semantic.shape[1]
        return Reconstruction(wav=decoded, num_bits=bits)


def asked_sampling(spec: Spec, quality: str | None) -> dict[str, Any]:
    """Return what a specification asks of `SemantiCodec.sampling`, the rest left out.

    Raises:
        ConfigError: a value that its setting does not take.
    """
    asked: dict[str, Any] = {} if quality is None else {"quality": quality}
    for key, item in SAMPLING.items():
        if key not in spec.options:
            continue
        text, (low, high) = spec.options[key], item.metadata["limits"]
        if isinstance(item.default, tuple):
            asked[item.name] = _interval(key, text)
        elif isinstance(item.default, str):
            asked[item.name] = text
        else:
            kind: Any = type(item.default)
            asked[item.name] = number(key, text, kind, low=low, high=high)
    return asked


def _interval(key: str, text: str) -> tuple[float, float]:
    """Return the two numbers of `LOW-HIGH`."""
    low, _, high = text.partition("-")
    start = number(f"{key}=LOW-HIGH", low, float, low=0, high=1)
    return start, number(f"{key}=LOW-HIGH", high, float, low=start, high=1)

"""What turns clips into vectors: features of a codec or of no model, averaged over time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.fbank import Fbank
from semanticodec.evaluation.semantics.hear import LAYERS
from semanticodec.evaluation.systems.base import Detail, bits_per_code
from semanticodec.evaluation.systems.model import CodecSystem, Model
from semanticodec.evaluation.systems.specs import Spec, SystemOptions

NUM_MEL_BINS = 128
MEAN, MEAN_AND_DEVIATION = "mean", "mean and deviation"
# Of all that a system of our codec says of itself, what its features depend on.
MODEL_DETAILS = (
    "model",
    "device",
    "fingerprint",
    "token_rate",
    "semantic_vocab_size",
    "acoustic_vocab_size",
)


@dataclass(frozen=True, kw_only=True)
class Features:
    """One row of the results.

    Attributes:
        name: name in reports.
        key: key among its embedder's features, whatever its name.
        details: settings and fingerprints for reports.
        bits_per_second: bitrate of the codes behind the features; None: not coded.
    """

    name: str
    key: str
    details: Mapping[str, Detail]
    bits_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What computes features, and which of its layers they are (empty: it has none)."""

    spec: Spec
    layers: str

    @property
    def name(self) -> str:
        """What reports call the features."""
        return f"{self.spec.label}:{self.layers}" if self.layers else self.spec.label


class Embedder(ABC):
    """Something that turns a clip into one vector for each of its features.

    Args:
        specs: specifications of one system that differ in layers only.
        device: device where models compute, such as `cpu` or `cuda`.
    Attributes:
        Options: settings that a specification may hold besides layers.
        LAYERS: layers to choose from, the first by default; empty if there are none.
        features: features that it gives, in the order of `embed`.
        fingerprint: changes whenever the vectors may.
    """

    Options: ClassVar[type[SystemOptions]] = SystemOptions
    LAYERS: ClassVar[tuple[str, ...]] = ()
    features: tuple[Features, ...]
    fingerprint: str

    @abstractmethod
    def __init__(self, specs: Sequence[FeatureSpec], device: str) -> None: ...

    @abstractmethod
    def embed(self, wav: Float[Tensor, " S"]) -> list[Float[Tensor, " D"]]:
        """Return a vector for each of `features`.

        Args:
            wav: 16 kHz mono.
        Raises:
            SemantiCodecError: this clip cannot be embedded; others may.
        """


class LogMelEmbedder(Embedder):
    """Mean over time of the log filter bank that AudioMAE sees: what any model must beat."""

    STATISTICS = MEAN

    def __init__(self, specs: Sequence[FeatureSpec], device: str) -> None:
        details: dict[str, Detail] = {"bins": NUM_MEL_BINS, "statistics": self.STATISTICS}
        self.features = (Features(name=specs[0].name, key=self.STATISTICS, details=details),)
        self.fingerprint = f"log-mel/{NUM_MEL_BINS}"
        self.fbank = Fbank(NUM_MEL_BINS)

    def embed(self, wav: Float[Tensor, " S"]) -> list[Float[Tensor, " D"]]:
        """Return the statistics over the clip's frames."""
        energies = self.fbank(wav.unsqueeze(0))[0]  # T M
        mean = energies.mean(dim=0)
        if self.STATISTICS == MEAN:
            return [mean]
        return [torch.cat([mean, energies.std(dim=0, correction=0)])]


class LogMelStatsEmbedder(LogMelEmbedder):
    """Mean and standard deviation over time of the same."""

    STATISTICS = MEAN_AND_DEVIATION


class ModelEmbedder(Embedder):
    """Features of our codec, averaged along the time axis (paper Sec. IV-C).

    The bands of a time step stand side by side, as the mel bins of the baseline do.
    """

    Options = CodecSystem.Options
    LAYERS = LAYERS

    def __init__(self, specs: Sequence[FeatureSpec], device: str) -> None:
        system = Model(specs[0].spec, device)
        self.codec = system.codec
        self.num_bands = self.codec.format.positions_per_column
        details = {key: system.details[key] for key in MODEL_DETAILS}
        self.fingerprint = "/".join(map(str, [*details.values(), "bands side by side"]))
        vocabularies = {
            "all": [self.codec.semantic_vocab_size, self.codec.acoustic_vocab_size],
            "semantic": [self.codec.semantic_vocab_size],
            "acoustic": [self.codec.acoustic_vocab_size],
            "continuous": [],
        }
        self.features = tuple(
            coded(spec, details, self.codec.positions_per_second, vocabularies[spec.layers])
            for spec in specs
        )

    def embed(self, wav: Float[Tensor, " S"]) -> list[Float[Tensor, " D"]]:
        """Return the mean of each layer's features; a clip is encoded once for all of them."""
        wanted = [features.key for features in self.features]
        found: dict[str, Tensor] = {}
        if set(wanted) - {"continuous"}:
            found["all"] = self.codec.features(wav, "all")[0]
            found["acoustic"], found["semantic"] = found["all"].chunk(2, dim=-1)
        if "continuous" in wanted:
            found["continuous"] = self.codec.features(wav, "continuous")[0]
        return [self._mean_over_time(found[layers]) for layers in wanted]

    def _mean_over_time(self, features: Float[Tensor, "L D"]) -> Float[Tensor, " D2"]:
        return features.unflatten(0, (-1, self.num_bands)).mean(dim=0).flatten()


def coded(
    spec: FeatureSpec,
    details: Mapping[str, Detail],
    frame_rate: float,
    vocab_sizes: Sequence[int],
) -> Features:
    """Return the description of layers of codes.

    Args:
        spec: specification that was asked for.
        details: description of the model.
        frame_rate: vectors per second.
        vocab_sizes: vocabulary of each code behind a vector; none before any quantizer.
    """
    described = {**details, "layers": spec.layers}
    if not vocab_sizes:
        return Features(name=spec.name, key=spec.layers, details=described)
    described["tokens_per_second"] = frame_rate * len(vocab_sizes)
    return Features(
        name=spec.name,
        key=spec.layers,
        details=described,
        bits_per_second=frame_rate * sum(map(bits_per_code, vocab_sizes)),
    )

"""How often a clip has every code: all of its meaning that does not lie in the order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.evaluation.semantics.features import (
    MODEL_DETAILS,
    Embedder,
    FeatureSpec,
    coded,
)
from semanticodec.evaluation.systems.model import CodecSystem, Model


class CodeHistogramEmbedder(Embedder):
    """Histograms of our codec's semantic or acoustic codes, all bands together."""

    Options = CodecSystem.Options
    LAYERS = ("semantic", "acoustic")

    def __init__(self, specs: Sequence[FeatureSpec], device: str) -> None:
        system = Model(specs[0].spec, device)
        self.codec = system.codec
        details = {key: system.details[key] for key in MODEL_DETAILS}
        self.fingerprint = "/".join(map(str, ["histograms", *details.values()]))
        sizes = dict(zip(self.LAYERS, self.codec.format.vocab_sizes))
        self.features = tuple(
            coded(spec, details, self.codec.positions_per_second, [sizes[spec.layers]])
            for spec in specs
        )

    def embed(self, wav: Float[Tensor, " S"]) -> list[Float[Tensor, " D"]]:
        """Return the share of every code, for each of `features`."""
        codes = self.codec.encode(wav)
        streams = dict(zip(self.LAYERS, zip(codes.stacked()[0], self.codec.format.vocab_sizes)))
        return [_shares(*streams[features.key]) for features in self.features]


def _shares(codes: Tensor, vocab_size: int) -> Float[Tensor, " K"]:
    return torch.bincount(codes, minlength=vocab_size).float() / codes.numel()

"""The codec with a semantic codebook that is learned in the joint training (paper Table VII).

features -> EMA vector quantizer, moved by every batch -> its table is the semantic codebook
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from semanticodec.encoder.encoder import valid_mask
from semanticodec.encoder.quantizer import QuantizerOutput, count_codes, perplexity
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import ConfigError
from semanticodec.training.data import Batch
from semanticodec.training.stage import StepOutput
from semanticodec.training.stages.codec import CodecStage
from semanticodec.training.stages.codec_config import CodecStageConfig
from semanticodec.training.stages.codec_rate import CodecRate
from semanticodec.training.stages.modules import FrozenModules


class LearnedSemanticStage(CodecStage):
    """Codec training in which the k-means centroids give way to a vector quantizer's codes.

    The codebook module only says how many codes there are. Every step works with them as with
    centroids, and then moves them toward the batch, so that the export is a codec like any other.
    AudioMAE is frozen: the commitment of the semantic codes is part of the loss, but has nothing
    to pull.
    """

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config(CodecStageConfig):
        """The codec's settings, with one vocabulary, and those of the learned codes.

        Attributes:
            semantic: width and size are replaced; codes must be of the features' width.
        """

        is_vocabulary_fixed: bool = True
        semantic: VectorQuantizer.Config = VectorQuantizer.Config()

    def __init__(self, config: Config, modules: FrozenModules) -> None:
        super().__init__(config, modules)
        sizes = self._rate.vocab_sizes
        if len(self.rates) != 1 or len(sizes) != 1 or config.semantic.code_width is not None:
            raise ConfigError(
                "A learned semantic codebook is one table of whole features: set "
                "is_vocabulary_fixed=True, semantic.code_width=None and a single stack factor."
            )
        width = self._rate.config.encoder.width
        self.learner = VectorQuantizer(
            dataclasses.replace(config.semantic, width=width, codebook_size=sizes[0])
        )
        self._take_codes()

    @property
    def _rate(self) -> CodecRate:
        return self.rates[0]

    def initialize(self, folder: Path) -> None:
        """Refuse: an export holds the learned codes, but not how often each was chosen."""
        raise ConfigError("A learned semantic codebook starts anew; leave out --init.")

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of Eq. 11 with the commitment of both quantizers."""
        inputs = self.inputs(batch)
        output = super().training_step(dataclasses.replace(batch, extra=inputs), group)
        # Afterwards: with codes that have just moved onto its own features, the first batch would
        # leave nothing for the acoustic codes to start from.
        learned, valid = self._learn(self._rate.stacked(inputs), batch)
        counts = count_codes(learned.codes, valid, self.learner.config.codebook_size)
        scalars = {
            **{f"semantic_{name}": loss for name, loss in learned.losses.items()},
            "semantic_perplexity": perplexity(counts),
            "num_used_semantic_codes": (counts > 0).sum(),
        }
        loss = sum(learned.losses.values(), start=output.loss)
        return StepOutput(loss=loss, scalars={**output.scalars, **scalars})

    def _learn(
        self, inputs: Mapping[str, Tensor], batch: Batch
    ) -> tuple[QuantizerOutput, Bool[Tensor, "B L"]]:
        """Move the codes toward the features of a batch; return also which positions count."""
        features = inputs["features"].float()
        valid = valid_mask(inputs["num_valid"], features.shape[1])
        learned = self.learner(features, batch.generators, valid)
        self._take_codes()
        return learned, valid

    @torch.no_grad()
    def _take_codes(self) -> None:
        size = self.learner.config.codebook_size
        self._rate.encoder.semantic.codebook(size).copy_(self.learner.embed)

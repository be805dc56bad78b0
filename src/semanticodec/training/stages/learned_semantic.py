"""The codec with a semantic codebook that is learned in the joint training (paper Table VII).

features -> EMA vector quantizer, moved by every batch -> its table is the semantic codebook
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from semanticodec.encoder.encoder import valid_mask
from semanticodec.encoder.vector_quantizer import VectorQuantizer, VectorQuantizerOutput
from semanticodec.errors import ConfigError
from semanticodec.training.data import Batch
from semanticodec.training.stage import StepOutput
from semanticodec.training.stages.codec import CodecStage
from semanticodec.training.stages.modules import FrozenModules


class LearnedSemanticStage(CodecStage):
    """Codec training in which the k-means centroids give way to a vector quantizer's codes.

    The codebook box only says how many codes there are. Every step works with them as with
    centroids, and then moves them towards the batch, so that the export is a codec like any other.
    AudioMAE is frozen: the commitment of the semantic codes is part of the loss, but has nothing
    to pull.
    """

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config(CodecStage.Config):
        """The codec's settings, with one vocabulary, and those of the learned codes.

        Attributes:
            semantic: width and size are replaced; codes must be of the features' width.
        """

        is_vocabulary_fixed: bool = True
        semantic: VectorQuantizer.Config = VectorQuantizer.Config()

    def __init__(self, config: Config, boxes: FrozenModules) -> None:
        super().__init__(config, boxes)
        if len(self.vocab_sizes) != 1 or config.semantic.code_width is not None:
            raise ConfigError(
                "A learned semantic codebook is one table of whole features: set "
                "is_vocabulary_fixed=True and semantic.code_width=None."
            )
        [size] = self.vocab_sizes
        width = self.codec_config.encoder.width
        self.learner = VectorQuantizer(
            dataclasses.replace(config.semantic, width=width, codebook_size=size)
        )
        self._take_codes()

    def initialize(self, folder: Path) -> None:
        """Refuse: an export holds the learned codes, but not how often each was chosen."""
        raise ConfigError("A learned semantic codebook starts anew; leave out --init.")

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of Eq. 11 with the commitment of both quantizers."""
        frozen = self.inputs(batch)
        output = super().training_step(dataclasses.replace(batch, extra=frozen), group)
        # Afterwards: with codes that have just moved onto its own features, the first batch would
        # leave nothing for the acoustic codes to start from.
        learned = self._learn(frozen, batch)
        scalars = {
            "semantic_commitment": learned.commitment_loss,
            "semantic_entropy": learned.entropy_loss,
            "semantic_perplexity": learned.perplexity,
            "num_used_semantic_codes": learned.num_used_codes,
        }
        loss = output.loss + learned.commitment_loss + learned.entropy_loss
        return StepOutput(loss=loss, scalars={**output.scalars, **scalars})

    def _learn(self, frozen: Mapping[str, Tensor], batch: Batch) -> VectorQuantizerOutput:
        """Move the codes towards the features of a batch."""
        features = frozen["features"].float()
        valid = valid_mask(frozen["num_valid"], features.shape[1])
        learned = self.learner(features, batch.generators, valid)
        self._take_codes()
        return learned

    @torch.no_grad()
    def _take_codes(self) -> None:
        self.encoder.semantic.codebook(self.learner.config.codebook_size).copy_(self.learner.embed)

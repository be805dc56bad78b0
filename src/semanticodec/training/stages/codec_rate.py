"""What one token rate of a codec in training has of its own.

features (K = 1) -> stacked -> semantic codes, acoustic encoder + quantizer -> condition
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import Parameter

from semanticodec.config import CodecConfig
from semanticodec.decoder.condition import Condition
from semanticodec.encoder.encoder import Encoder, EncoderOutput, mask_padding, valid_mask
from semanticodec.encoder.quantizer import count_codes, perplexity
from semanticodec.training.data import Batch, rand_per_item
from semanticodec.training.features import WindowFeatures, stacked_features
from semanticodec.training.stages.codec_config import CodecStageConfig

USE_DECAY = 0.995
# Separates the draw of the vocabulary from all other numbers of a step.
VOCABULARY_STREAM = 20405


class CodecRate(nn.Module):
    """Semantic codebooks, acoustic encoder, acoustic quantizer and condition of a token rate.

    Args:
        settings: settings of the stage.
        config: the codec at this token rate.
        encoder: the codec's encoder. Its AudioMAE is taken out: all rates get their features
            from the stage's.
        condition: the codec's condition.
    Buffers:
        code_use: moving share of each acoustic code, over some hundred steps [K].
    """

    code_use: Tensor

    def __init__(
        self,
        settings: CodecStageConfig,
        config: CodecConfig,
        encoder: Encoder,
        condition: Condition,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.config = config
        self.vocab_sizes = config.encoder.semantic.vocab_sizes
        self.encoder = encoder
        del self.encoder.audiomae
        self.encoder.quantizer.requires_grad_(not settings.is_code_space_fixed)
        self.condition = condition
        size = config.encoder.quantizer.codebook_size
        self.register_buffer("code_use", torch.full((size,), 1.0 / size))

    @property
    def stack_factor(self) -> int:
        """K, how many patches a position of this rate joins."""
        return self.config.encoder.stack_factor

    def trained_parameters(self) -> list[Parameter]:
        """Return the parameters of acoustic encoder and quantizer."""
        return [*self.encoder.acoustic.parameters(), *self.encoder.quantizer.parameters()]

    def stacked(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the frozen modules' results for K = 1 as this rate needs them."""
        patches = WindowFeatures(*(inputs[name] for name in WindowFeatures._fields))
        return {**inputs, **stacked_features(patches, self.stack_factor)._asdict()}

    @torch.no_grad()
    def start_codes(self, examples: Iterable[tuple[int, Mapping[str, Tensor]]], seed: int) -> None:
        """Start the acoustic quantizer on what the untrained acoustic encoder makes of examples.

        Args:
            examples: numbered results of the frozen modules for K = 1, one window at a time; a
                number that comes again stands for the same window.
            seed: random seed of the quantizer's choice among them.
        """
        if not self.encoder.quantizer.starts_from_vectors:
            return
        numbers: list[int] = []
        known: dict[int, Tensor] = {}
        for number, inputs in examples:
            if number not in known:
                known[number] = self._vectors(self.stacked(inputs))
            numbers.append(number)
        vectors = torch.cat([known[number] for number in numbers])
        self.encoder.quantizer.start_from(vectors, torch.Generator().manual_seed(seed))

    def _vectors(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "N D"]:
        """Return the acoustic encoder's output for windows, without padding."""
        vocab_size = self.vocab_sizes[-1]
        features = inputs["features"].float()
        codes = self.encoder.semantic.encode(features, vocab_size)
        valid = valid_mask(inputs["num_valid"], features.shape[1])
        vectors = self.encoder.acoustic(
            mask_padding(features, valid),
            mask_padding(self.encoder.semantic.decode(codes, vocab_size), valid),
        )
        return vectors[valid]

    def vocab_size(self, step: int) -> int:
        """Return the vocabulary of a step: the same for all items in all processes (Sec. IV-D)."""
        rng = np.random.default_rng([VOCABULARY_STREAM, step])
        return self.vocab_sizes[int(rng.integers(len(self.vocab_sizes)))]

    def encode(self, inputs: Mapping[str, Tensor], batch: Batch) -> EncoderOutput:
        """Return codes, features and losses of a batch.

        Args:
            inputs: results of the frozen modules, stacked.
            batch: step and generators.
        """
        # The recurrent network and the quantizer need the digits; they are the cheap part.
        is_trained = torch.is_grad_enabled() and batch.step >= self.settings.acoustic_start
        device = batch.wav.device.type
        with torch.autocast(device, enabled=False), torch.set_grad_enabled(is_trained):
            return self.encoder(
                inputs["features"].float(),
                inputs["num_valid"],
                self.vocab_size(batch.step),
                batch.generators,
            )

    def context(
        self, encoded: EncoderOutput, num_positions: Int[Tensor, " B"], batch: Batch
    ) -> Float[Tensor, "B L2 E"]:
        """Return the condition, as decoding builds it from codes, or from vectors for some items.

        Codes come in whole columns: those of a last column that the audio does not fill are
        decoded like all others, only later positions carry the mark of padding.

        Args:
            encoded: result of `encode`.
            num_positions: positions that the codes of every item have.
            batch: step and generators.
        """
        length = encoded.valid.shape[1]
        has_code = valid_mask(num_positions, length)
        is_tail = (has_code & ~encoded.valid).unsqueeze(-1)
        decoded = self.encoder.quantized(
            encoded.semantic_codes, encoded.acoustic_codes, self.vocab_size(batch.step)
        )
        trained = encoded.acoustic_features, encoded.semantic_features
        acoustic, semantic = (torch.where(is_tail, *pair) for pair in zip(decoded, trained))
        if self.settings.unquantized_share:
            drawn = rand_per_item(batch.generators, (1, 1), acoustic.device)
            is_exact = (drawn < self.settings.unquantized_share) & has_code.unsqueeze(-1)
            with torch.no_grad():  # the encoder shall learn what survives its quantizer
                exact = self.encoder.quantizer.bypass(encoded.vectors)
            acoustic = torch.where(is_exact, exact, acoustic)
            semantic = torch.where(is_exact, encoded.features, semantic)
        return self.condition(acoustic, semantic, length)

    @torch.no_grad()
    def follow_use(self, encoded: EncoderOutput) -> dict[str, Tensor]:
        """Count the acoustic codes of a batch; return what that says about the codebook."""
        size = len(self.code_use)
        counts = count_codes(encoded.acoustic_codes, encoded.valid, size)
        self.code_use.lerp_(counts / counts.sum().clamp_min(1), 1 - USE_DECAY)
        return {
            "perplexity": perplexity(counts),
            "num_used_codes": (counts > 0).sum(),
            "perplexity_moving": torch.special.entr(self.code_use).sum().exp(),
            # Used at least a tenth as often as the average code.
            "share_of_codes_used": (self.code_use > 0.1 / size).float().mean(),
        }

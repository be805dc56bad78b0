"""What one token rate of a codec in training has of its own.

features (K = 1) -> stacked -> semantic codes, acoustic encoder + quantizer -> condition
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import Parameter

from semanticodec.config import CodecConfig
from semanticodec.decoder.condition import Condition
from semanticodec.encoder.encoder import Encoder, EncoderOutput, mask_padding, valid_mask
from semanticodec.encoder.quantizer import count_codes, perplexity
from semanticodec.encoder.untold_energies import UntoldEnergies
from semanticodec.layers.told_energies import ToldEnergies
from semanticodec.training.acoustic_start import KnownPatches, Window, start_axes, valid_patches
from semanticodec.training.data import Batch, rand_per_item
from semanticodec.training.features import WindowFeatures, stacked_features

USE_DECAY = 0.995
# Separates the draw of the vocabulary from all other numbers of a step.
VOCABULARY_STREAM = 20405


@dataclass(frozen=True, kw_only=True)
class RateConfig:
    """How a rate's codes are trained.

    Attributes:
        acoustic_start: first step that trains the acoustic encoder; before it the codebook alone
            follows.
        is_code_space_fixed: whether the quantizer's projections stay as they start.
        unquantized_share: share of the items whose condition is what the quantizers would give if
            every vector had a code of its own.
    """

    acoustic_start: int = 0
    is_code_space_fixed: bool = False
    unquantized_share: float = 0.0


class CodecRate(nn.Module):
    """Semantic codebooks, acoustic encoder, acoustic quantizer and condition of a token rate.

    Args:
        settings: how the codes are trained.
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
        settings: RateConfig,
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

    @property
    def sees_mel(self) -> bool:
        """Whether the acoustic encoder is given the log-mel spectrogram."""
        return self.encoder.sees_mel

    def trained_parameters(self) -> list[Parameter]:
        """Return the parameters of acoustic encoder and quantizer."""
        return [*self.encoder.acoustic.parameters(), *self.encoder.quantizer.parameters()]

    def stacked(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the frozen modules' results for K = 1 as this rate needs them."""
        patches = WindowFeatures(**{name: inputs[name] for name in WindowFeatures._fields})
        return {**inputs, **stacked_features(patches, self.stack_factor)._asdict()}

    @property
    def told(self) -> ToldEnergies:
        """What the acoustic encoder takes its semantic codes to tell."""
        return self._untold.told

    @property
    def _untold(self) -> UntoldEnergies:
        residual = self.encoder.acoustic.residual
        assert isinstance(residual, UntoldEnergies)
        return residual

    @torch.no_grad()
    def windows(self, examples: Iterable[tuple[int, Mapping[str, Tensor]]]) -> list[Window]:
        """Return windows as the acoustic encoder sees them.

        Args:
            examples: numbered results of the frozen modules for K = 1, one window at a time.
        """
        return [self._inputs(self.stacked(item)) for item in dict(examples).values()]

    def start_axes(self, windows: Sequence[Window]) -> None:
        """Start the axes of the acoustic encoder that sees the mel, see there."""
        start_axes(self._untold, windows)

    @torch.no_grad()
    def start_codes(self, examples: Iterable[tuple[int, Mapping[str, Tensor]]], seed: int) -> None:
        """Start the acoustic quantizer on what the untrained acoustic encoder makes of examples.

        Args:
            examples: as for `windows`; a number that comes again stands for the same window.
            seed: random seed of the quantizer's choice among them.
        """
        if not self.encoder.quantizer.starts_from_vectors:
            return
        numbers: list[int] = []
        vectors: dict[int, Tensor] = {}
        for number, inputs in examples:
            numbers.append(number)
            if number not in vectors:
                vectors[number] = self._first_vectors(self._inputs(self.stacked(inputs)))
        self.encoder.quantizer.start_from(
            torch.cat([vectors[number] for number in numbers]),
            torch.Generator().manual_seed(seed),
        )

    def _first_vectors(self, window: Window) -> Float[Tensor, "N D"]:
        """Return what the untrained acoustic encoder makes of a window, without padding."""
        if not self.sees_mel:
            return self.encoder.acoustic_vectors(*window)[window.valid]
        # The LSTM, which takes most of the time, adds nothing yet.
        acoustic = self.encoder.acoustic
        features, centroids = (
            mask_padding(rows, window.valid) for rows in (window.features, window.centroids)
        )
        vectors = acoustic.residual_vectors(features, centroids, window.mel)
        return acoustic.as_wide(vectors)[window.valid]

    @torch.no_grad()
    def context_rows(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "N E"]:
        """Return the rows of a window's condition as its codes give it, without padding.

        Args:
            inputs: results of the frozen modules for K = 1.
        """
        window = self._inputs(self.stacked(inputs))
        num_rows = int(window.valid.sum()) * self.condition.config.unstacks
        return self.condition(*self._coded(window), window.valid.shape[1])[0, :num_rows]

    @torch.no_grad()
    def known_patches(self, window: Window) -> KnownPatches:
        """Return what the codes of a window tell of its patches."""
        told = self.condition.told
        assert told is not None
        streams = self.condition.streams(*self._coded(window), window.valid.shape[1])
        valid = valid_patches(window.valid, self.stack_factor, told.config.patch_bands)
        return KnownPatches(told.patches(*streams), valid, window.mel)

    def _coded(self, window: Window) -> tuple[Float[Tensor, "1 L D"], Float[Tensor, "1 L D"]]:
        """Return the quantized vectors of a window, acoustic and semantic."""
        codes = self.encoder.quantizer.encode(self.encoder.acoustic_vectors(*window))
        return self.encoder.quantizer.decode(codes), window.centroids

    def _inputs(self, inputs: Mapping[str, Tensor]) -> Window:
        vocab_size = self.vocab_sizes[-1]
        features = inputs["features"].float()
        codes = self.encoder.semantic.encode(features, vocab_size)
        return Window(
            features=features,
            centroids=self.encoder.semantic.decode(codes, vocab_size),
            valid=valid_mask(inputs["num_valid"], features.shape[1]),
            mel=inputs["mel"].float(),
        )

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
                inputs["mel"].float(),
            )

    def context(
        self,
        encoded: EncoderOutput,
        num_positions: Int[Tensor, " B"],
        batch: Batch,
        first_rows: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B L2 E"]:
        """Return the condition, as decoding builds it from codes, or from vectors for some items.

        Codes come in whole columns: those of a last column that the audio does not fill are
        decoded like all others, only later positions carry the mark of padding.

        Args:
            encoded: result of `encode`.
            num_positions: positions that the codes of every item have.
            batch: step and generators.
            first_rows: rows of the condition before each item, for pieces of windows.
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
        return self.condition(acoustic, semantic, length, first_rows)

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

"""SemantiCodec's encoder: joins the modules from the filter bank to the two streams of codes.

fbank -> AudioMAE -> stack -> features -> semantic quantizer -> semantic codes, centroids
                                 |                                   |
                                 +--- mark padding -----> acoustic encoder -> acoustic quantizer
                                                                           -> acoustic codes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.quantizer import QuantizerConfig
from semanticodec.encoder.quantizers import make_quantizer
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import ConfigError
from semanticodec.layers.stacking import PADDING_VALUE, stack_patches
from semanticodec.token_format import TokenGrid

# A frame is silent where its bins spread less than this (normalized log energies): only padding
# and digital silence, which sit on the floor of the filter bank, are that even.
SILENT_STD = 1e-7
# Other devices always compute as many windows, so that the same sums run for each; codes may then
# not depend on the batch there either.
ACCELERATOR_ITEMS = 8
FEATURE_LAYERS = ("all", "semantic", "acoustic", "continuous", "unquantized")


class EncoderOutput(NamedTuple):
    """What one training pass gives the codec stage.

    Attributes:
        semantic_codes: indices into the vocabulary that was asked for.
        acoustic_codes: indices into the acoustic codebook.
        semantic_features: centroids of the semantic codes, padded positions marked.
        acoustic_features: quantized acoustic features, padded positions marked; carry gradients.
        features: the stacked AudioMAE features, not marked.
        vectors: the acoustic encoder's output, not marked.
        valid: True where a position lies before the end of the audio.
        losses: the acoustic quantizer's, weighted and ready to be added (Eq. 11), by name.
    """

    semantic_codes: Int[Tensor, "B L"]
    acoustic_codes: Int[Tensor, "B L"]
    semantic_features: Float[Tensor, "B L D"]
    acoustic_features: Float[Tensor, "B L D"]
    features: Float[Tensor, "B L D"]
    vectors: Float[Tensor, "B L D"]
    valid: Bool[Tensor, "B L"]
    losses: Mapping[str, Float[Tensor, ""]]


def active_frames(fbank: Float[Tensor, "B T M"]) -> Int[Tensor, " B"]:
    """Return how many frames there are up to and with the last one that is not silent.

    Args:
        fbank: normalized filter bank.
    """
    # Silent rows are constant: less their first bin they are exactly 0 on any device.
    spread = (fbank - fbank[..., :1]).float().std(dim=-1)
    is_active = spread > SILENT_STD
    numbers = torch.arange(1, fbank.shape[1] + 1, device=fbank.device)
    return (is_active * numbers).amax(dim=1)


def valid_positions(fbank: Float[Tensor, "B T M"], length: int) -> Int[Tensor, " B"]:
    """Return how many positions lie before the end of the audio; later ones get the mark.

    The release counts rows of the flat, time-major sequence, so the end may fall inside a column:
    the upper bands of its last patches are then marked.

    Args:
        fbank: normalized filter bank.
        length: positions of its T frames.
    """
    frames = active_frames(fbank)
    return (length * frames + fbank.shape[1] - 1) // fbank.shape[1]


def computes_items_alone(fbank: Tensor) -> bool:
    """Return whether items run one at a time: only on a CPU does that cost nothing."""
    return fbank.is_cpu


def valid_mask(num_valid: Int[Tensor, " B"], length: int) -> Bool[Tensor, "B L"]:
    """Return True for the first `num_valid` of `length` positions of each item."""
    return torch.arange(length, device=num_valid.device) < num_valid.unsqueeze(1)


def mask_padding(
    features: Float[Tensor, "B L D"], valid: Bool[Tensor, "B L"]
) -> Float[Tensor, "B L D"]:
    """Overwrite positions after the end of the audio with -1, the mark of the release."""
    return torch.where(valid.unsqueeze(-1), features, PADDING_VALUE)


class Encoder(nn.Module):
    """Filter bank to semantic and acoustic codes (paper Fig. 2 and Sec. III-C)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes of the encoder's modules.

        Attributes:
            audiomae: the network that gives features.
            stack_factor: K, 1, 2 or 4: patches that one position joins.
            semantic: the semantic codebooks; their width is that of a stacked position.
            acoustic: the acoustic encoder, as wide.
            quantizer: one of the quantizers in `quantizers.QUANTIZERS`, as wide.
        """

        audiomae: AudioMAE.Config = field(default_factory=AudioMAE.Config)
        stack_factor: int = 1
        semantic: SemanticQuantizer.Config = field(default_factory=SemanticQuantizer.Config)
        acoustic: AcousticEncoder.Config = field(default_factory=AcousticEncoder.Config)
        quantizer: QuantizerConfig = field(default_factory=VectorQuantizer.Config)

        @property
        def width(self) -> int:
            """Width of a stacked position."""
            return self.stack_factor * self.audiomae.width

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = {
            "semantic": config.semantic.width,
            "acoustic": config.acoustic.width,
            "quantizer": config.quantizer.width,
        }
        for name, width in widths.items():
            if width != config.width:
                raise ConfigError(
                    f"the {name} module is {width} wide, but {config.stack_factor} stacked "
                    f"AudioMAE features are {config.width}; set {name}.width to {config.width}"
                )
        _, bands = TokenGrid.from_stack_factor(config.stack_factor).block
        num_bands = config.audiomae.num_bands // bands
        grid = config.acoustic.stack_factor, config.acoustic.num_bands
        if config.acoustic.num_mel_bins and grid != (config.stack_factor, num_bands):
            raise ConfigError(
                f"the acoustic encoder counts on columns of {config.acoustic.num_bands} positions "
                f"of {config.acoustic.stack_factor} patches, but {config.stack_factor} stacked "
                f"patches make {num_bands}; set acoustic.num_bands to {num_bands} and "
                f"acoustic.stack_factor to {config.stack_factor}"
            )
        self.config = config
        self.audiomae = AudioMAE(config.audiomae)
        self.semantic = SemanticQuantizer(config.semantic)
        self.acoustic = AcousticEncoder(config.acoustic)
        self.quantizer = make_quantizer(config.quantizer)

    def features(self, fbank: Float[Tensor, "B T M"]) -> Float[Tensor, "B L D"]:
        """Return the stacked AudioMAE features, continuous.

        Args:
            fbank: normalized filter bank, T whole columns of stacked patches up to a window.
        """
        config = self.config
        return stack_patches(self.audiomae(fbank), config.stack_factor, config.audiomae.num_bands)

    @property
    def sees_mel(self) -> bool:
        """Whether the acoustic encoder is given the log-mel spectrogram."""
        return self.config.acoustic.num_mel_bins > 0

    def valid_positions(self, fbank: Float[Tensor, "B T M"]) -> Int[Tensor, " B"]:
        """Return how many positions lie before the end of the audio, see `valid_positions`."""
        length = self.config.audiomae.num_bands * fbank.shape[1]
        length //= self.config.audiomae.patch_size * self.config.stack_factor
        return valid_positions(fbank, length)

    @torch.no_grad()
    def encode(
        self,
        fbank: Float[Tensor, "B T M"],
        vocab_size: int,
        mel: Float[Tensor, "B T M2"] | None = None,
    ) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B L"]]:
        """Return the semantic and the acoustic codes; in a codec, no item's depend on the others.

        Args:
            fbank: normalized filter bank of one window per item.
            vocab_size: size of the semantic vocabulary.
            mel: log-mel spectrogram of the same frames, where the acoustic encoder sees it.
        Raises:
            ConfigError: unknown vocabulary.
        Source: paper Eq. 1 to 3, 5.
        """
        if computes_items_alone(fbank):
            _, semantic_codes, vectors = self._analyze(fbank, vocab_size, mel)
            return semantic_codes, self.quantizer.encode(vectors)
        semantic_codes, acoustic_codes = [], []
        for start in range(0, len(fbank), ACCELERATOR_ITEMS):
            items, mels = (
                None if rows is None else _filled(rows[start : start + ACCELERATOR_ITEMS])
                for rows in (fbank, mel)
            )
            assert items is not None
            count = min(ACCELERATOR_ITEMS, len(fbank) - start)
            _, codes, vectors = self._analyze(items, vocab_size, mels)
            semantic_codes.append(codes[:count])
            acoustic_codes.append(self.quantizer.encode(vectors)[:count])
        return torch.cat(semantic_codes), torch.cat(acoustic_codes)

    def quantized(
        self,
        semantic_codes: Int[Tensor, "B L"],
        acoustic_codes: Int[Tensor, "B L"],
        vocab_size: int,
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L D"]]:
        """Return the acoustic and the semantic features of given codes: what the decoder sees.

        Args:
            semantic_codes: integers in [0, vocab_size).
            acoustic_codes: integers in [0, quantizer.codebook_size).
            vocab_size: size of the semantic vocabulary.
        Raises:
            ConfigError: unknown vocabulary.
            CodesError: a code outside its codebook.
        """
        semantic_features = self.semantic.decode(semantic_codes, vocab_size)
        return self.quantizer.decode(acoustic_codes), semantic_features

    @torch.no_grad()
    def latents(
        self,
        fbank: Float[Tensor, "B T M"],
        vocab_size: int,
        mel: Float[Tensor, "B T M2"] | None = None,
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L D"]]:
        """Return what the acoustic and the semantic quantizer are given, one row per position.

        Args:
            fbank: normalized filter bank of one window per item.
            vocab_size: size of the semantic vocabulary.
            mel: log-mel spectrogram of the same frames, where the acoustic encoder sees it.
        Raises:
            ConfigError: unknown vocabulary.
        """
        features, _, vectors = self._analyze(fbank, vocab_size, mel)
        return vectors, features

    @torch.no_grad()
    def quantize(
        self,
        semantic: Float[Tensor, "B L D"],
        acoustic: Float[Tensor, "B L D"],
        vocab_size: int,
    ) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B L"]]:
        """Return the semantic and the acoustic codes of `latents`.

        Args:
            semantic: AudioMAE's features.
            acoustic: the acoustic encoder's output.
            vocab_size: size of the semantic vocabulary.
        Raises:
            ConfigError: unknown vocabulary.
        """
        return self.semantic.encode(semantic, vocab_size), self.quantizer.encode(acoustic)

    @torch.no_grad()
    def layer_features(
        self,
        fbank: Float[Tensor, "1 T M"],
        vocab_size: int,
        layers: str,
        mel: Float[Tensor, "1 T M2"] | None = None,
    ) -> Float[Tensor, "1 L D"]:
        """Return the features of a window behind, or before, the quantizers.

        Args:
            fbank: normalized filter bank.
            vocab_size: size of the semantic vocabulary.
            layers: one of `FEATURE_LAYERS`: "all" = [acoustic, semantic] as the decoder sees them,
                "semantic" or "acoustic" alone, "continuous" = AudioMAE alone, or "unquantized" =
                what "all" would be if every vector had a code of its own.
            mel: log-mel spectrogram of the same frames, where the acoustic encoder sees it.
        Raises:
            ConfigError: unknown vocabulary.
        """
        if layers == "continuous":
            return self.features(fbank)
        features, codes, vectors = self._analyze(fbank, vocab_size, mel)
        if layers == "unquantized":
            return torch.cat([self.quantizer.bypass(vectors), features], dim=-1)
        acoustic, semantic = self.quantized(codes, self.quantizer.encode(vectors), vocab_size)
        halves = {"all": [acoustic, semantic], "acoustic": [acoustic], "semantic": [semantic]}
        return torch.cat(halves[layers], dim=-1)

    def forward(
        self,
        features: Float[Tensor, "B L D"],
        num_valid: Int[Tensor, " B"],
        vocab_size: int,
        generators: Sequence[torch.Generator] | None = None,
        mel: Float[Tensor, "B T M2"] | None = None,
    ) -> EncoderOutput:
        """Return codes, features with gradients, and losses, from continuous features on.

        AudioMAE is frozen while the rest is trained, so its features come from `features(fbank)`
        or from a cache, and `num_valid` from `valid_positions(fbank)`.

        Args:
            features: stacked AudioMAE features.
            num_valid: positions before the end of the audio, 0 to L per item.
            vocab_size: size of the semantic vocabulary; drawn per batch in training (Sec. IV-D).
            generators: one per item, for the acoustic quantizer's draws in training.
            mel: log-mel spectrogram of the positions, where the acoustic encoder sees it.
        Raises:
            ConfigError: unknown vocabulary.
        """
        semantic_codes = self.semantic.encode(features, vocab_size)
        centroids = F.embedding(semantic_codes, self.semantic.codebook(vocab_size))
        valid = valid_mask(num_valid.to(features.device), features.shape[1])
        vectors = self.acoustic_vectors(features, centroids, valid, mel)
        acoustic = self.quantizer(vectors, generators, valid)
        return EncoderOutput(
            semantic_codes=semantic_codes,
            acoustic_codes=acoustic.codes,
            semantic_features=mask_padding(centroids, valid),
            acoustic_features=mask_padding(acoustic.quantized, valid),
            features=features,
            vectors=vectors,
            valid=valid,
            losses=acoustic.losses,
        )

    def _analyze(
        self,
        fbank: Float[Tensor, "B T M"],
        vocab_size: int,
        mel: Float[Tensor, "B T M2"] | None,
    ) -> tuple[Float[Tensor, "B L D"], Int[Tensor, "B L"], Float[Tensor, "B L D"]]:
        """Return the features of windows, their semantic codes, and the acoustic features."""
        # Sums round differently in a batch of another size, and a position near a tie could get
        # another code.
        parts = fbank.split(1) if computes_items_alone(fbank) else [fbank]
        features = torch.cat([self.features(part) for part in parts])
        codes = self.semantic.encode(features, vocab_size)
        valid = valid_mask(self.valid_positions(fbank), features.shape[1])
        centroids = F.embedding(codes, self.semantic.codebook(vocab_size))
        vectors = self.acoustic_vectors(features, centroids, valid, mel)
        return features, codes, vectors

    def acoustic_vectors(
        self,
        features: Float[Tensor, "B L D"],
        centroids: Float[Tensor, "B L D"],
        valid: Bool[Tensor, "B L"],
        mel: Float[Tensor, "B T M2"] | None,
    ) -> Float[Tensor, "B L D"]:
        """Return the acoustic encoder's output, which its quantizer is given.

        Args:
            features: stacked AudioMAE features.
            centroids: their semantic centroids.
            valid: True where a position lies before the end of the audio.
            mel: log-mel spectrogram, where the acoustic encoder sees it.
        Raises:
            ConfigError: it is missing.
        """
        seen = [mask_padding(rows, valid) for rows in (features, centroids)]
        if self.sees_mel:
            if mel is None:
                raise ConfigError(
                    "this acoustic encoder sees the log-mel spectrogram beside the filter bank; "
                    "give mel, the result of window_mel for the same window"
                )
            seen.append(mel)
        return self.acoustic(*seen)


def _filled(rows: Float[Tensor, "B T M"]) -> Float[Tensor, "B2 T M"]:
    """Return windows with silent ones behind them, up to `ACCELERATOR_ITEMS`."""
    return F.pad(rows, (0, 0, 0, 0, 0, ACCELERATOR_ITEMS - len(rows)))

"""Discriminators: of waveforms by periods and resolutions, of mels by patches and by frames.

None of them normalizes over the batch, so a logit depends on its own item only.

Shapes: B batch · S samples · T frames · M mel bins · C channels · F frequency lines · P period.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from semanticodec.decoder.vocoder import Vocoder
from semanticodec.decoder.vocos import Vocos
from semanticodec.errors import ConfigError

# Natural-log magnitudes of ordinary recordings lie around this mean with this spread; a fixed
# shift and scale hands the patch discriminator numbers of order one.
MEL_MEAN, MEL_STD = -5.5, 2.5
# Recordings have a root mean square of about an eighth of full scale.
WAV_SCALE = 8.0
# Their compressed spectra, normalized as below, are about as large.
SPECTRUM_SCALE = 8.0
LEAKY_SLOPE = 0.1


class DiscriminatorOutput(NamedTuple):
    """What a set of discriminators says: one entry per discriminator.

    Attributes:
        logits: scores of patches of each item; high means "a recording".
        features: hidden activations, per discriminator and layer.
    """

    logits: list[Tensor]
    features: list[list[Tensor]]


class _Discriminators(nn.Module):
    """Several discriminators of waveforms."""

    def __init__(self, discriminators: Iterable[nn.Module]) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(discriminators)

    def forward(self, wav: Float[Tensor, "B S"]) -> DiscriminatorOutput:
        """Score waveforms."""
        return _collect([discriminator(wav) for discriminator in self.discriminators])


class MultiPeriodDiscriminator(_Discriminators):
    """Discriminators that each see every P-th sample, for several periods P.

    Waveforms are longer than the largest period.

    Source: HiFi-GAN (arXiv 2010.05646) Sec. 2.3.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes; the defaults are HiFi-GAN's.

        Attributes:
            periods: samples between neighbors in a row, one per discriminator.
            channels: output channels of the layers; all but the last shorten time by 3.
        """

        periods: tuple[int, ...] = (2, 3, 5, 7, 11)
        channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)

    def __init__(self, config: Config) -> None:
        super().__init__(_PeriodDiscriminator(period, config.channels) for period in config.periods)
        self.config = config


class _PeriodDiscriminator(nn.Module):
    def __init__(self, period: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.period = period
        self.layers = nn.ModuleList()
        previous = 1
        for index, width in enumerate(channels):
            stride = 3 if index < len(channels) - 1 else 1
            conv = nn.Conv2d(previous, width, (5, 1), stride=(stride, 1), padding=(2, 0))
            self.layers.append(_awake(conv))
            previous = width
        self.head = _awake(nn.Conv2d(previous, 1, (3, 1), padding=(1, 0)))

    def forward(
        self, wav: Float[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B _N"], list[Float[Tensor, "B ..."]]]:
        padded = F.pad(WAV_SCALE * wav[:, None], (0, -wav.shape[-1] % self.period), mode="reflect")
        hidden = padded.unflatten(-1, (-1, self.period))  # B 1 S -> B 1 S/P P
        return _score(hidden, self.layers, self.head)


class MultiResolutionDiscriminator(_Discriminators):
    """Discriminators on complex spectrograms of several window lengths.

    Waveforms are longer than half of the longest window.

    The magnitude is compressed to its square root (the phase kept), so that quiet and loud
    parts of a spectrum weigh alike.

    Source: UnivNet (arXiv 2106.07889) Sec. 2.2; complex input as in EnCodec (arXiv 2210.13438)
    Sec. 3.4.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            window_lengths: samples per window, one per discriminator; the hop is a quarter.
            channels: output channels of the layers. The first halves frequency, the others
                halve both axes, and the last keeps both.
        """

        window_lengths: tuple[int, ...] = (2048, 1024, 512)
        channels: tuple[int, ...] = (32, 64, 128, 128, 128)

    def __init__(self, config: Config) -> None:
        sizes = config.window_lengths
        super().__init__(_ResolutionDiscriminator(size, config.channels) for size in sizes)
        self.config = config


class _ResolutionDiscriminator(nn.Module):
    def __init__(self, window_length: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(window_length), persistent=False)
        self.layers = nn.ModuleList()
        previous = 2
        for index, width in enumerate(channels):
            if index == len(channels) - 1:
                kernel, stride = (3, 3), (1, 1)
            else:
                kernel, stride = (3, 5), ((1, 2) if index == 0 else (2, 2))
            padding = (kernel[0] // 2, kernel[1] // 2)
            self.layers.append(_awake(nn.Conv2d(previous, width, kernel, stride, padding)))
            previous = width
        self.head = _awake(nn.Conv2d(previous, 1, (3, 3), padding=1))

    def forward(
        self, wav: Float[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B _N"], list[Float[Tensor, "B ..."]]]:
        return _score(self._spectrogram(wav), self.layers, self.head)

    def _spectrogram(self, wav: Float[Tensor, "B S"]) -> Float[Tensor, "B 2 T F"]:
        window = self.get_buffer("window")
        size = window.numel()
        with torch.autocast(wav.device.type, enabled=False):
            spectrum = torch.stft(
                wav.float(), size, size // 4, window=window, normalized=True, return_complex=True
            )
            parts = torch.view_as_real(spectrum).permute(0, 3, 2, 1)  # B F T 2 -> B 2 T F
            energy = parts.square().sum(dim=1, keepdim=True)
            # The small constant keeps the gradient finite where the spectrum vanishes.
            return SPECTRUM_SCALE * parts * (energy + 1e-6).pow(-0.25)


class PatchDiscriminator(nn.Module):
    """Discriminator that scores overlapping patches of a mel spectrogram.

    Source: pix2pix (arXiv 1611.07004) Sec. 3.2.2, as used by latent diffusion's autoencoders
    (arXiv 2112.10752) Sec. 3.1, with weight instead of batch normalization.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            channels: output channels of the first layer; each further one doubles them, up to
                eightfold.
            num_layers: layers that halve both axes.
        """

        channels: int = 64
        num_layers: int = 3

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList()
        previous = 1
        for index in range(config.num_layers + 1):
            width = config.channels * min(2**index, 8)
            stride = 2 if index < config.num_layers else 1
            self.layers.append(_awake(nn.Conv2d(previous, width, 4, stride, padding=1)))
            previous = width
        self.head = _awake(nn.Conv2d(previous, 1, 4, padding=1))

    def forward(self, mel: Float[Tensor, "B T M"]) -> DiscriminatorOutput:
        """Score log-mel spectrograms (natural log; 32 frames and bins or more)."""
        image = ((mel - MEL_MEAN) / MEL_STD)[:, None]  # B T M -> B 1 T M
        return _collect([_score(image, self.layers, self.head)])


class FrameDiscriminator(nn.Module):
    """Discriminator on what a frozen vocoder makes of a mel: the activations of its frames.

    A trained vocoder knows what matters in a mel, at a tenth of the cost of its waveform.

    Source: discriminators on features of a frozen vocoder (arXiv 2508.17874); Vocos, whose layers
    all have the rate of the mel, gives its last ones.

    Args:
        config: sizes.
        vocoder: trained vocoder; this keeps a copy of it, which no training moves.
    Raises:
        ConfigError: a vocoder without such frames.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            channels: output channels of the layers over time; all but the first and the last
                halve it.
        """

        channels: tuple[int, ...] = (128, 128, 128, 128)

    def __init__(self, config: Config, vocoder: Vocoder) -> None:
        super().__init__()
        self.config = config
        if not isinstance(vocoder, Vocos):
            raise ConfigError(
                f"{type(vocoder).__name__} has no frames that a discriminator could judge: set "
                "frames=None, or give the export of a Vocos as vocoder."
            )
        self.vocoder = copy.deepcopy(vocoder).requires_grad_(False)
        self.layers = nn.ModuleList()
        previous = vocoder.config.width
        for index, width in enumerate(config.channels):
            stride = 2 if 0 < index < len(config.channels) - 1 else 1
            conv = nn.Conv2d(previous, width, (5, 1), (stride, 1), padding=(2, 0))
            self.layers.append(_awake(conv))
            previous = width
        self.head = _awake(nn.Conv2d(previous, 1, (3, 1), padding=(1, 0)))

    def forward(self, mel: Float[Tensor, "B T M"]) -> DiscriminatorOutput:
        """Score log-mel spectrograms (natural log)."""
        frames = self.vocoder.frames(mel)
        return _collect([_score(frames.transpose(1, 2).unsqueeze(3), self.layers, self.head)])


def _awake(conv: nn.Conv2d) -> nn.Module:
    """Return a layer with weight normalization that hands on numbers as large as it gets.

    PyTorch's own start makes them 2.4 times smaller in every layer: the first logits are then a
    few thousandths, whatever the audio, and the losses stand still for hundreds of steps.

    Source: He et al. (arXiv 1502.01852) Eq. 15.
    """
    nn.init.kaiming_normal_(conv.weight, a=LEAKY_SLOPE, nonlinearity="leaky_relu")
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return weight_norm(conv)


def _score(
    image: Float[Tensor, "B C T F"], layers: nn.ModuleList, head: nn.Module
) -> tuple[Float[Tensor, "B _N"], list[Float[Tensor, "B ..."]]]:
    hidden = image.contiguous(memory_format=torch.channels_last)
    features = []
    for layer in layers:
        hidden = F.leaky_relu(layer(hidden), LEAKY_SLOPE)
        features.append(hidden)
    return head(hidden).flatten(1), features


def _collect(
    outputs: Sequence[tuple[Float[Tensor, "B _N"], list[Float[Tensor, "B ..."]]]],
) -> DiscriminatorOutput:
    return DiscriminatorOutput(
        logits=[logits for logits, _ in outputs], features=[features for _, features in outputs]
    )

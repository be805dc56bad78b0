"""Losses of the adversarially trained modules: spectral distances, KL divergence, GAN terms.

Every loss is the mean over the batch of one value per item, so that it does not depend on how
a batch is spread over processes. Spectra are computed in float32 whatever the autocast says.

Shapes: B batch · S samples · T frames · M mel bins · C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.audio.spectrogram import magnitude_spectrogram, slaney_filters
from semanticodec.errors import ConfigError
from semanticodec.token_format import SAMPLE_RATE

GanLoss = Literal["least_squares", "hinge"]


class MultiResolutionMelLoss(nn.Module):
    """Mean absolute difference of log-mel spectrograms, averaged over several window lengths.

    The scales are those of the MEL metric of DAC's evaluation, in natural logarithms and
    averaged instead of summed, so that HiFi-GAN's weight of 45 keeps its meaning.

    Source: HiFi-GAN (arXiv 2010.05646) Sec. 2.4; scales of DAC (arXiv 2306.06546) Sec. 3.4.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Analysis settings.

        Attributes:
            window_lengths: samples per window, one entry per scale; the hop is a quarter.
            num_mel_bins: mel bins of each scale.
            sample_rate: Hz.
            floor: smallest magnitude told apart from silence.
        """

        window_lengths: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048)
        num_mel_bins: tuple[int, ...] = (5, 10, 20, 40, 80, 160, 320)
        sample_rate: int = SAMPLE_RATE
        floor: float = 1e-5

    def __init__(self, config: Config) -> None:
        super().__init__()
        if len(config.window_lengths) != len(config.num_mel_bins):
            raise ConfigError(
                f"{len(config.window_lengths)} window lengths but {len(config.num_mel_bins)} "
                "numbers of mel bins; give one number of mel bins per window length."
            )
        self.config = config
        for size, bins in zip(config.window_lengths, config.num_mel_bins, strict=True):
            filters = slaney_filters(config.sample_rate, size, bins, config.sample_rate / 2)
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)
            self.register_buffer(f"filters_{size}", filters, persistent=False)

    def forward(
        self, generated: Float[Tensor, "B S"], target: Float[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """Return the distance in natural log units (0 for equal waveforms)."""
        with torch.autocast(generated.device.type, enabled=False):
            distances = [
                F.l1_loss(self._log_mel(generated, size), self._log_mel(target, size))
                for size in self.config.window_lengths
            ]
        return torch.stack(distances).mean()

    def _log_mel(self, wav: Float[Tensor, "B S"], size: int) -> Float[Tensor, "B T M"]:
        magnitude = magnitude_spectrogram(
            wav.float(), self.get_buffer(f"window_{size}"), hop_length=size // 4
        )
        mel = magnitude @ self.get_buffer(f"filters_{size}")  # B T F -> B T M
        return mel.clamp(min=self.config.floor).log()


class MultiResolutionStftLoss(nn.Module):
    """Log-magnitude plus magnitude distance of linear spectrograms at several resolutions.

    Magnitudes are divided by the window's sum, so that a full-scale tone counts about 0.5 at
    every resolution and silence needs no special case.

    Source: Parallel WaveGAN (arXiv 1910.11480) Eq. 5-7, with the plain magnitude distance in
    place of spectral convergence, whose denominator vanishes for silent items.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Analysis settings.

        Attributes:
            window_lengths: samples per window, one entry per resolution; the hop is a quarter.
            floor: smallest normalized magnitude told apart from silence.
            magnitude_weight: weight of the linear term beside the logarithmic one.
        """

        window_lengths: tuple[int, ...] = (256, 512, 1024, 2048)
        floor: float = 1e-6
        magnitude_weight: float = 10.0

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        for size in config.window_lengths:
            window = torch.hann_window(size)
            self.register_buffer(f"window_{size}", window, persistent=False)

    def forward(
        self, generated: Float[Tensor, "B S"], target: Float[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """Return the distance (0 for equal waveforms)."""
        distances = []
        with torch.autocast(generated.device.type, enabled=False):
            for size in self.config.window_lengths:
                window = self.get_buffer(f"window_{size}")
                scale = window.sum()
                ours = magnitude_spectrogram(generated.float(), window, size // 4) / scale
                theirs = magnitude_spectrogram(target.float(), window, size // 4) / scale
                floor = self.config.floor
                logarithmic = F.l1_loss(ours.clamp(min=floor).log(), theirs.clamp(min=floor).log())
                linear = F.l1_loss(ours, theirs)
                distances.append(logarithmic + self.config.magnitude_weight * linear)
        return torch.stack(distances).mean()


def kl_divergence(
    mean: Float[Tensor, "B ..."], logvar: Float[Tensor, "B ..."]
) -> Float[Tensor, ""]:
    """Return KL(N(mean, exp(logvar)) || N(0, 1)) per latent element, in nats.

    Args:
        mean: means of the diagonal Gaussian.
        logvar: natural logarithms of its variances.
    Source: Kingma and Welling (arXiv 1312.6114), Appendix B.
    """
    mean, logvar = mean.float(), logvar.float()
    return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()


def discriminator_loss(
    real: Sequence[Float[Tensor, "B ..."]],
    generated: Sequence[Float[Tensor, "B ..."]],
    kind: GanLoss,
) -> Float[Tensor, ""]:
    """Return what a set of discriminators minimizes, averaged over the set.

    Args:
        real: logits for recordings, one tensor per discriminator.
        generated: logits for generated items (detached from the generator).
        kind: "least_squares" (targets 1 and 0) or "hinge" (margins +1 and -1).
    Source: LSGAN (arXiv 1611.04076) Eq. 9; hinge: Geometric GAN (arXiv 1705.02894) Sec. 3.
    """
    losses = []
    for on_real, on_generated in zip(real, generated, strict=True):
        on_real, on_generated = on_real.float(), on_generated.float()
        if kind == "least_squares":
            losses.append((1.0 - on_real).square().mean() + on_generated.square().mean())
        else:
            losses.append(F.relu(1.0 - on_real).mean() + F.relu(1.0 + on_generated).mean())
    return torch.stack(losses).mean()


def generator_loss(generated: Sequence[Float[Tensor, "B ..."]], kind: GanLoss) -> Float[Tensor, ""]:
    """Return what the generator minimizes against a set of discriminators, averaged over it.

    Args:
        generated: logits for generated items, one tensor per discriminator.
        kind: "least_squares" (target 1) or "hinge" (minus the mean logit).
    """
    if kind == "least_squares":
        losses = [(1.0 - logits.float()).square().mean() for logits in generated]
    else:
        losses = [-logits.float().mean() for logits in generated]
    return torch.stack(losses).mean()


def feature_matching_loss(
    real: Sequence[Sequence[Float[Tensor, "B ..."]]],
    generated: Sequence[Sequence[Float[Tensor, "B ..."]]],
) -> Float[Tensor, ""]:
    """Return the distance of hidden activations: summed over layers, averaged over discriminators.

    Args:
        real: hidden activations for recordings, per discriminator and layer; not differentiated.
        generated: the same for generated items.
    Source: HiFi-GAN (arXiv 2010.05646) Eq. 5.
    """
    distances = []
    for real_layers, generated_layers in zip(real, generated, strict=True):
        layers = [
            F.l1_loss(ours.float(), theirs.detach().float())
            for theirs, ours in zip(real_layers, generated_layers, strict=True)
        ]
        distances.append(torch.stack(layers).sum())
    return torch.stack(distances).mean()

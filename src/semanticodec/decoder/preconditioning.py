"""What is known of a velocity without a network: the linear part, by the latent's statistics.

The channels and frequencies of a latent have different means and standard deviations. A network
that has to find out how much of the noisy latent is noise spends its first hours on that, and errs
by a little in every diffusion step. Here the best linear guess is computed, and the network sees
and predicts values of unit variance at every timestep (not in the paper, not in the release).

Shapes: B batch · C channels · T frames · F latent frequency.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.decoder.schedule import Schedule
from semanticodec.layers.full_precision import FullPrecision

# Cells that hardly vary are not blown up to unit variance.
SMALLEST_DEVIATION = 0.02

Network = Callable[[Float[Tensor, "B C T F"]], Float[Tensor, "B C T F"]]


class Preconditioning(FullPrecision):
    """Wraps the T-UNet so that it fills in what a Gaussian model of the latent leaves open.

    Notation (variable -> symbol), with μ and s the mean and standard deviation of a channel and
    frequency:
        signal, noise   √ᾱ_n and √(1 - ᾱ_n)
        centered        z_n - √ᾱ μ
        variance        ᾱ s² + 1 - ᾱ, of the centered latent
        skip            √ᾱ √(1 - ᾱ) (1 - s²) / variance
        gain            s / √variance
        velocity        skip · centered + gain · F(centered / √variance) - √(1 - ᾱ) μ

    Source: Karras et al. (2022), Table 1 and Appendix B.6, for the velocity of Eq. 8 and with a
    mean and a standard deviation of their own for every channel and frequency.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Size of the statistics.

        Attributes:
            latent_channels: C.
            latent_bins: F.
        """

        latent_channels: int = 8
        latent_bins: int = 16

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        shape = (config.latent_channels, 1, config.latent_bins)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    @torch.no_grad()
    def measure(self, latent: Float[Tensor, "B C T F"]) -> None:
        """Take the statistics from latents in the diffusion's scale."""
        self.mean.copy_(latent.mean(dim=(0, 2)).unsqueeze(1))
        self.deviation.copy_(latent.std(dim=(0, 2)).unsqueeze(1).clamp_min(SMALLEST_DEVIATION))

    def velocity(
        self,
        network: Network,
        schedule: Schedule,
        latent: Float[Tensor, "B C T F"],
        timestep: Int[Tensor, " B"],
    ) -> Float[Tensor, "B C T F"]:
        """Return the velocity at noisy latents, float32.

        Args:
            network: F, of the latents as it shall see them.
            schedule: noise levels.
            latent: noisy latents.
            timestep: timestep of every item.
        """
        shape = (-1, 1, 1, 1)
        signal = schedule.sqrt_alphas_cumprod[timestep].view(shape)
        noise = schedule.sqrt_one_minus_alphas_cumprod[timestep].view(shape)
        centered = latent.float() - signal * self.mean
        variance = (signal * self.deviation).square() + noise.square()
        skip = signal * noise * (1 - self.deviation.square()) / variance
        gain = self.deviation * variance.rsqrt()
        output = network(centered * variance.rsqrt()).float()
        return skip * centered + gain * output - noise * self.mean

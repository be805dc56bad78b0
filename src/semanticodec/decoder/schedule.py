"""The noise schedule of the diffusion model and the quantities that v-prediction links.

Notation (variable -> paper, §III-D):
    alphas_cumprod[t]   ᾱ_n, the share of signal power left after step n = t + 1
    latent              z_0
    noise               ε
    noisy               z_n = √ᾱ_n z_0 + √(1 - ᾱ_n) ε      (Eq. 7)
    velocity            v_n = √ᾱ_n ε - √(1 - ᾱ_n) z_0      (Eq. 8)

Shapes: B batch · N timesteps; the latent may have any shape after the batch.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.errors import ConfigError
from semanticodec.layers.full_precision import FullPrecision


def shift_time(time: Float[Tensor, " N"], shift: float) -> Float[Tensor, " N"]:
    """Move times toward pure noise: t' = s t / (1 + (s - 1) t).

    Args:
        time: 0 (clean) … 1 (pure noise).
        shift: s ≥ 1; 1 leaves the times as they are. Training and sampling use the same value.
    Returns:
        Times in 0 … 1, in the same order.
    Raises:
        ConfigError: a shift below 1.
    """
    if not shift >= 1:
        raise ConfigError(f"shift={shift} is not allowed: choose 1 (none) or more.")
    return shift * time / (1 + (shift - 1) * time)


class Schedule(FullPrecision):
    """Noise level of every timestep, kept in float32 buffers that a checkpoint may override."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Form of the schedule.

        Attributes:
            kind: "linear" (the release: square root of beta linear in the timestep) or "cosine"
                (the paper: cosine with zero terminal signal-to-noise ratio).
            num_timesteps: number of diffusion steps N.
            beta_start: first beta of the linear schedule.
            beta_end: last beta of the linear schedule.
            cosine_offset: s of the cosine schedule, keeps its first beta away from 0.
        """

        kind: str = "linear"
        num_timesteps: int = 1000
        beta_start: float = 0.0015
        beta_end: float = 0.0195
        cosine_offset: float = 0.008

    alphas_cumprod: Tensor
    sqrt_alphas_cumprod: Tensor
    sqrt_one_minus_alphas_cumprod: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        alphas_cumprod = _alphas_cumprod(config)
        self.register_buffer("alphas_cumprod", alphas_cumprod.float())
        self.register_buffer("sqrt_alphas_cumprod", alphas_cumprod.sqrt().float())
        self.register_buffer("sqrt_one_minus_alphas_cumprod", (1 - alphas_cumprod).sqrt().float())

    @property
    def num_timesteps(self) -> int:
        """Number of diffusion steps."""
        return self.config.num_timesteps

    def add_noise(
        self,
        latent: Float[Tensor, "B ..."],
        noise: Float[Tensor, "B ..."],
        timestep: Int[Tensor, " B"],
    ) -> Float[Tensor, "B ..."]:
        """Return the noisy latent z_n of Eq. 7.

        Args:
            latent: clean latent z_0.
            noise: standard normal noise of the same shape.
            timestep: 0 … N - 1 for each item.
        """
        signal_scale, noise_scale = self._scales(timestep, latent)
        return signal_scale * latent + noise_scale * noise

    def velocity(
        self,
        latent: Float[Tensor, "B ..."],
        noise: Float[Tensor, "B ..."],
        timestep: Int[Tensor, " B"],
    ) -> Float[Tensor, "B ..."]:
        """Return the velocity v_n of Eq. 8, the training target.

        Args:
            latent: clean latent z_0.
            noise: standard normal noise of the same shape.
            timestep: 0 … N - 1 for each item.
        """
        signal_scale, noise_scale = self._scales(timestep, latent)
        return signal_scale * noise - noise_scale * latent

    def predict_latent(
        self,
        noisy: Float[Tensor, "B ..."],
        velocity: Float[Tensor, "B ..."],
        timestep: Int[Tensor, " B"],
    ) -> Float[Tensor, "B ..."]:
        """Return the clean latent that a velocity implies (Eq. 7 and 8 solved for z_0).

        Args:
            noisy: noisy latent z_n.
            velocity: velocity at z_n.
            timestep: 0 … N - 1 for each item.
        """
        signal_scale, noise_scale = self._scales(timestep, noisy)
        return signal_scale * noisy - noise_scale * velocity

    def predict_noise(
        self,
        noisy: Float[Tensor, "B ..."],
        velocity: Float[Tensor, "B ..."],
        timestep: Int[Tensor, " B"],
    ) -> Float[Tensor, "B ..."]:
        """Return the noise that a velocity implies (Eq. 7 and 8 solved for ε).

        Args:
            noisy: noisy latent z_n.
            velocity: velocity at z_n.
            timestep: 0 … N - 1 for each item.
        """
        signal_scale, noise_scale = self._scales(timestep, noisy)
        return signal_scale * velocity + noise_scale * noisy

    def _scales(self, timestep: Int[Tensor, " B"], like: Tensor) -> tuple[Tensor, Tensor]:
        """Return √ᾱ and √(1 - ᾱ) of each item, shaped to multiply `like`."""
        shape = (-1, *[1] * (like.dim() - 1))
        signal_scale = self.sqrt_alphas_cumprod[timestep].view(shape)
        return signal_scale, self.sqrt_one_minus_alphas_cumprod[timestep].view(shape)


def _alphas_cumprod(config: Schedule.Config) -> Float[Tensor, " N"]:
    """Return ᾱ_n = ∏ (1 - β_i) in float64 (β of Eq. 6)."""
    if config.num_timesteps < 2:
        raise ConfigError(f"num_timesteps={config.num_timesteps} is too few: choose 2 or more.")
    if config.kind == "linear":
        ends = config.beta_start**0.5, config.beta_end**0.5
        betas = torch.linspace(*ends, config.num_timesteps, dtype=torch.float64) ** 2
        return torch.cumprod(1 - betas, dim=0)
    if config.kind == "cosine":
        return _cosine(config.num_timesteps, config.cosine_offset)
    raise ConfigError(f"Schedule kind {config.kind!r} is unknown: choose 'linear' or 'cosine'.")


def _cosine(num_timesteps: int, offset: float) -> Float[Tensor, " N"]:
    """Return the squared-cosine ᾱ of Nichol and Dhariwal (2021, Eq. 17), ending in pure noise.

    Unlike theirs the betas are not clipped, so the cosine reaches 0 at its end. That is what the
    rescaling of Lin et al. (2024, Alg. 1) is for; here it would change rounding errors only.
    """
    time = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
    signal = torch.cos((time + offset) / (1 + offset) * torch.pi / 2) ** 2
    signal[-1] = 0.0  # cos(π / 2) up to rounding, but samplers test for exactly 0
    return signal[1:] / signal[0]

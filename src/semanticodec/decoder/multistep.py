"""Multistep samplers, which reuse earlier model outputs: as good as DDIM in fewer steps.

They are called like `sampler.ddim`:

    dpm_solver_2m(denoise, schedule, timesteps, noise, eta=...)     -> latent
    unipc(denoise, schedule, timesteps, noise)                      -> latent

Between two timesteps the exact solution of the probability flow is

    z_t / σ_t = z_s / σ_s + ∫ ẑ_0 du,        u = α / σ = e^λ        (α = √ᾱ, σ = √(1 - ᾱ))

DDIM holds ẑ_0 at its value at s; the samplers here replace it by a mean over the step, for which
they take ẑ_0 to be a polynomial in λ. Everything else is DDIM's step (`_step`). Pure noise, where
α = 0 and λ = -∞, needs no special step: u is finite there, and what ẑ_0 was at λ = -∞ says nothing
about its slope, which the formulas give by themselves as their limit.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.decoder.sampler import Denoiser, Noise, check_sampling
from semanticodec.decoder.schedule import Schedule
from semanticodec.errors import ConfigError


class Level(NamedTuple):
    """A noise level that is visited.

    Attributes:
        signal: α = √ᾱ.
        noise: σ = √(1 - ᾱ).
    """

    signal: float
    noise: float

    @property
    def half_log_snr(self) -> float:
        """λ = log(α / σ); -∞ at pure noise, ∞ at the clean latent."""
        if self.signal == 0:
            return -math.inf
        return math.log(self.signal / self.noise) if self.noise > 0 else math.inf


class PastStep(NamedTuple):
    """What a step leaves to the next ones.

    Attributes:
        level: noise level at which the network was evaluated.
        latent: z before the step.
        clean: ẑ_0 that the network predicted for it, or for its first guess.
    """

    level: Level
    latent: Tensor
    clean: Tensor


def dpm_solver_2m(
    denoise: Denoiser,
    schedule: Schedule,
    timesteps: Sequence[int],
    noise: Noise,
    *,
    eta: float = 0.0,
    end_at_clean: bool = False,
) -> Float[Tensor, "B C T F"]:
    """Return the latent that DPM-Solver++(2M) samples from noise; with eta 1 its SDE variant.

    The mean of ẑ_0 over a step is taken on the line through its last two values. First and last
    step are DDIM's: one has no value before it, the other may go to λ = ∞.

    Its arguments are those of `ddim`; eta has the meaning that it has there.

    Raises:
        ConfigError: eta or the timesteps are out of range.
    Source: Lu et al. (2022), DPM-Solver++, Algorithm 2 and Section 6 (SDE).
    """
    check_sampling(timesteps, schedule.num_timesteps, eta)
    levels = _levels(schedule, timesteps, end_at_clean)
    latent, before = noise(0), None
    for step, timestep in enumerate(timesteps):
        level, after = levels[step], levels[step + 1]
        current = PastStep(level, latent, _predict_clean(denoise, schedule, latent, timestep))
        is_last = step == len(timesteps) - 1
        mean = current.clean if is_last else _extrapolated(before, current, after)
        variance = (eta * after.noise / level.noise) ** 2
        variance *= 1 - (level.signal / after.signal) ** 2
        latent = _step(current, mean, after, variance)
        if variance > 0:
            latent = latent + variance**0.5 * noise(step + 1)
        before = current
    return latent


def unipc(
    denoise: Denoiser,
    schedule: Schedule,
    timesteps: Sequence[int],
    noise: Noise,
    *,
    eta: float = 0.0,
    end_at_clean: bool = False,
) -> Float[Tensor, "B C T F"]:
    """Return the latent that UniPC of order 2 samples from noise, without fresh noise.

    Every step is that of `dpm_solver_2m`. Once the network has been asked at its end, the step is
    repeated with the mean of a polynomial that goes through the new value too; the network is not
    asked again.

    Its arguments are those of `ddim`, but eta can be 0 only.

    Raises:
        ConfigError: eta is not 0, or the timesteps are out of range.
    Source: Zhao et al. (2023), Algorithms 1 to 4 with B(h) = e^h - 1 and data prediction.
    """
    check_sampling(timesteps, schedule.num_timesteps, eta)
    if eta != 0:
        raise ConfigError(
            f"eta={eta} is not possible with unipc, which adds no noise: choose 0, or the sampler "
            "ddim or dpm++2m."
        )
    levels = _levels(schedule, timesteps, end_at_clean)
    latent, before, previous = noise(0), None, None
    for step, timestep in enumerate(timesteps):
        clean = _predict_clean(denoise, schedule, latent, timestep)
        if before is not None:
            latent = _step(
                before, _interpolated(previous, before, levels[step], clean), levels[step]
            )
        current = PastStep(levels[step], latent, clean)
        is_last = step == len(timesteps) - 1
        mean = clean if is_last else _extrapolated(before, current, levels[step + 1])
        latent = _step(current, mean, levels[step + 1])
        before, previous = current, before
    return latent


def _levels(schedule: Schedule, timesteps: Sequence[int], end_at_clean: bool) -> list[Level]:
    """Return the level of every timestep, and the one at which the last step ends."""
    alphas_cumprod = schedule.alphas_cumprod.double().tolist()
    last = 1.0 if end_at_clean else alphas_cumprod[0]
    visited = [*(alphas_cumprod[timestep] for timestep in timesteps), last]
    return [Level(signal=alpha**0.5, noise=(1 - alpha) ** 0.5) for alpha in visited]


def _predict_clean(
    denoise: Denoiser, schedule: Schedule, latent: Float[Tensor, "B C T F"], timestep: int
) -> Float[Tensor, "B C T F"]:
    """Return ẑ_0, in the precision of the latent."""
    batch_timestep = torch.full((latent.shape[0],), timestep, device=latent.device)
    velocity = denoise(latent, batch_timestep).to(latent.dtype)
    return schedule.predict_latent(latent, velocity, batch_timestep)


def _step(
    current: PastStep, mean: Float[Tensor, "B C T F"], after: Level, variance: float = 0.0
) -> Float[Tensor, "B C T F"]:
    """Return the latent at the level `after`, but for the noise of `variance` still to be added.

    DDIM's step with `mean` for ẑ_0: √(σ_t² - variance) is left for the direction (z - α ẑ_0) / σ.
    """
    # Rounding may leave a value just below zero where all noise is fresh.
    share = max(after.noise**2 - variance, 0.0) ** 0.5 / current.level.noise
    return share * current.latent + (after.signal - share * current.level.signal) * mean


def _extrapolated(
    before: PastStep | None, current: PastStep, after: Level
) -> Float[Tensor, "B C T F"]:
    """Return the mean of ẑ_0 over the coming step, on the line in λ through the last two values.

    The line is taken at the middle of the step (the paper's choice), which is nearer to the known
    values than the weighted mean and differs from it in the order that is left out anyway.
    """
    if before is None:
        return current.clean
    width = after.half_log_snr - current.level.half_log_snr
    gap = current.level.half_log_snr - before.level.half_log_snr  # ∞ behind pure noise: slope 0
    return current.clean + width / (2 * gap) * (current.clean - before.clean)


def _interpolated(
    previous: PastStep | None, before: PastStep, now: Level, clean: Float[Tensor, "B C T F"]
) -> Float[Tensor, "B C T F"]:
    """Return the mean of ẑ_0 over the past step, from its values at both ends and one before.

    With λ = 0 … 1 over the step and -r at the value before, the mean of the parabola through all
    three under the weight e^λ follows from the weight's moments.
    """
    change = clean - before.clean
    width = now.half_log_snr - before.level.half_log_snr
    if math.isinf(width):
        return clean  # e^λ has all its weight at this end
    if previous is None:
        return before.clean + 0.5 * change  # UniC-1 takes the plain mean
    gap_ratio = (before.level.half_log_snr - previous.level.half_log_snr) / width  # r, may be ∞
    complete = -1 / math.expm1(-width)
    first_moment = complete - 1 / width
    second_moment = complete - 2 * first_moment / width
    curvature = (second_moment - first_moment) / (1 + gap_ratio)
    change_before = (previous.clean - before.clean) / gap_ratio
    return before.clean + (first_moment + curvature) * change + curvature * change_before

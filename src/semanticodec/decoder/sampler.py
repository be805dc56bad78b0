"""DDIM sampling with guidance: functions that know neither the network nor its sizes.

    release_timesteps | even_timesteps | shifted_timesteps     which steps to visit
    guided(denoise_pair, guidance_scale)                       -> denoise(latent, timestep)
    guided_within(interval, guided, conditional)               -> denoise(latent, timestep)
    ddim(denoise, schedule, timesteps, noise, eta=...)         -> latent

Samplers that need fewer steps, called in the same way, stand in `multistep`.

Shapes: B batch · C channels · T frames · F latent frequency.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.decoder.schedule import Schedule, shift_time
from semanticodec.errors import ConfigError

# denoise(latent, timestep) -> velocity; may answer in lower precision than the latent's.
Denoiser = Callable[[Float[Tensor, "B C T F"], Int[Tensor, " B"]], Float[Tensor, "B C T F"]]
# denoise_pair(latent, timestep) -> both branches as one batch, conditional rows first.
PairDenoiser = Callable[[Float[Tensor, "B C T F"], Int[Tensor, " B"]], Float[Tensor, "2*B C T F"]]
# noise(draw): draw 0 is the start latent, draw i + 1 belongs to step i.
Noise = Callable[[int], Float[Tensor, "B C T F"]]


def release_timesteps(num_steps: int, num_timesteps: int = 1000) -> list[int]:
    """Return the timesteps that the released system visits, noisiest first.

    It steps by 1000 // num_steps, so a count that does not divide 1000 gives more steps than
    asked (30 gives 31), and some counts would look up timestep 1000, which does not exist.

    Args:
        num_steps: requested number of steps.
        num_timesteps: length of the schedule.
    Raises:
        ConfigError: a count for which the released system fails.
    Source: upstream's uniform DDIM discretization.
    """
    _check_num_steps(num_steps, num_timesteps)
    timesteps = [index + 1 for index in range(0, num_timesteps, num_timesteps // num_steps)]
    if timesteps[-1] >= num_timesteps:
        raise ConfigError(
            f"num_steps={num_steps} makes the released sampler look up timestep {timesteps[-1]} "
            f"of {num_timesteps}, where it fails too: choose a divisor of {num_timesteps} up to "
            f"{num_timesteps // 2}, or the even spacing, which takes any number."
        )
    return timesteps[::-1]


def even_timesteps(num_steps: int, num_timesteps: int = 1000) -> list[int]:
    """Return exactly `num_steps` evenly spaced timesteps, noisiest first.

    Equal to `release_timesteps` where that works and `num_steps` divides the schedule. Like it,
    the first step lies below the end of the schedule, by a whole stride: with few steps and a
    zero-terminal schedule use `shifted_timesteps`.

    Args:
        num_steps: number of steps, 1 … num_timesteps.
        num_timesteps: length of the schedule.
    Raises:
        ConfigError: the number of steps is out of range.
    """
    _check_num_steps(num_steps, num_timesteps)
    offset = 0 if num_steps == num_timesteps else 1  # all timesteps leave no room for an offset
    steps = range(num_steps - 1, -1, -1)
    return [index * num_timesteps // num_steps + offset for index in steps]


def shifted_timesteps(num_steps: int, shift: float = 1.0, num_timesteps: int = 1000) -> list[int]:
    """Return timesteps that start at pure noise and crowd toward it, noisiest first.

    Args:
        num_steps: number of steps, 1 … num_timesteps.
        shift: s of `shift_time`; 1 spaces the steps evenly ("trailing" in Lin et al.).
        num_timesteps: length of the schedule.
    Returns:
        Strictly falling timesteps that start at num_timesteps - 1.
    Raises:
        ConfigError: the number of steps or the shift is out of range.
    Source: Lin et al. (2024), Section 3.3, for the spacing without shift.
    """
    _check_num_steps(num_steps, num_timesteps)
    time = torch.arange(num_steps, 0, -1, dtype=torch.float64) / num_steps
    rounded = (shift_time(time, shift) * num_timesteps).round().long().tolist()
    timesteps: list[int] = []
    for index, after_last in enumerate(rounded):
        # A strong shift rounds neighbors to one timestep: give each its own, as the steps
        # after it need theirs.
        highest = timesteps[-1] - 1 if timesteps else num_timesteps - 1
        timesteps.append(max(min(after_last - 1, highest), num_steps - 1 - index))
    return timesteps


def guided(denoise_pair: PairDenoiser, guidance_scale: float) -> Denoiser:
    """Return a velocity function under classifier-free guidance.

    Notation: guidance_scale -> w; the result is v_uncond + w (v_cond - v_uncond). Eq. 10 as
    printed exchanges the two branches; this is what the release and the field compute.

    Args:
        denoise_pair: runs both branches as one batch; the first half of the rows it returns is
            conditional, the second unconditional. With w = 1 the second half has no weight, so
            it must then return the conditional rows alone.
        guidance_scale: w; 1 is plain conditional sampling at half the cost.
    """
    if guidance_scale == 1:
        return denoise_pair

    def denoise(
        latent: Float[Tensor, "B C T F"], timestep: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C T F"]:
        # Guidance scales up the difference of near-equal velocities: form it in full precision.
        velocities = denoise_pair(latent, timestep).to(latent.dtype)
        conditional, unconditional = velocities.chunk(2)
        return unconditional + guidance_scale * (conditional - unconditional)

    return denoise


def guided_within(
    interval: tuple[float, float], guided: Denoiser, conditional: Denoiser, num_timesteps: int
) -> Denoiser:
    """Return a velocity function that is guided at some noise levels only.

    Args:
        interval: lowest and highest timestep / num_timesteps that is guided.
        guided: velocity under guidance.
        conditional: velocity without, at half the cost.
        num_timesteps: length of the schedule.
    Source: Kynkäänniemi et al. (2024), Section 3.
    """
    low, high = interval

    def denoise(
        latent: Float[Tensor, "B C T F"], timestep: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C T F"]:
        # All items of a batch are at the same timestep.
        is_guided = low <= timestep[0].item() / num_timesteps <= high
        return (guided if is_guided else conditional)(latent, timestep)

    return denoise


def ddim(
    denoise: Denoiser,
    schedule: Schedule,
    timesteps: Sequence[int],
    noise: Noise,
    *,
    eta: float = 0.0,
    end_at_clean: bool = False,
) -> Float[Tensor, "B C T F"]:
    """Return the latent that DDIM samples from noise.

    Notation (variable -> symbol):
        latent         z_n, then z_m at the timestep visited next
        velocity       v_θ(z_n, n, E)                            (paper Eq. 9)
        clean          ẑ_0 = √ᾱ_n z_n - √(1 - ᾱ_n) v_θ           (paper Eq. 7, 8)
        direction      ε̂ = √ᾱ_n v_θ + √(1 - ᾱ_n) z_n
        alpha          ᾱ_n
        alpha_next     ᾱ_m
        variance       σ² = η² (1 - ᾱ_m) / (1 - ᾱ_n) · (1 - ᾱ_n / ᾱ_m)
        new latent     √ᾱ_m ẑ_0 + √(1 - ᾱ_m - σ²) ε̂ + σ ε

    Nothing is divided by √ᾱ_n, so the step from pure noise (ᾱ_n = 0) is exact.

    Args:
        denoise: velocity of a latent at a timestep.
        schedule: noise levels and conversions.
        timesteps: strictly falling, from num_timesteps - 1 at most to 0 at least.
        noise: float32 standard normal arrays: draw 0 is the start latent, draw i + 1 the noise
            of step i, asked for only where a step adds noise.
        eta: η, share of fresh noise from 0 (deterministic) to 1.
        end_at_clean: the last step returns ẑ_0, as schedules with zero terminal SNR want it,
            instead of the latent at timestep 0, as the release does.
    Returns:
        The denoised latent.
    Raises:
        ConfigError: eta or the timesteps are out of range.
    Source: Song et al. (2021), Eq. 12 and 16; paper §III-D.
    """
    check_sampling(timesteps, schedule.num_timesteps, eta)
    alphas = schedule.alphas_cumprod.double().tolist()
    alpha_last = 1.0 if end_at_clean else alphas[0]
    next_alphas = [*(alphas[timestep] for timestep in timesteps[1:]), alpha_last]
    latent = noise(0)
    for step, (timestep, alpha_next) in enumerate(zip(timesteps, next_alphas, strict=True)):
        alpha = alphas[timestep]
        batch_timestep = torch.full((latent.shape[0],), timestep, device=latent.device)
        velocity = denoise(latent, batch_timestep).to(latent.dtype)
        clean = schedule.predict_latent(latent, velocity, batch_timestep)
        direction = schedule.predict_noise(latent, velocity, batch_timestep)
        variance = eta**2 * (1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next)
        # Rounding may leave a value just below zero where eta is 1.
        direction_share = max(1 - alpha_next - variance, 0.0)
        latent = alpha_next**0.5 * clean + direction_share**0.5 * direction
        if variance > 0:
            latent = latent + variance**0.5 * noise(step + 1)
    return latent


def _check_num_steps(num_steps: int, num_timesteps: int) -> None:
    if not 1 <= num_steps <= num_timesteps:
        raise ConfigError(
            f"num_steps={num_steps} is not possible: choose from 1 to {num_timesteps}."
        )


def check_sampling(timesteps: Sequence[int], num_timesteps: int, eta: float) -> None:
    """Raise ConfigError where no sampler could go on."""
    if not 0 <= eta <= 1:
        raise ConfigError(f"eta={eta} is not allowed: choose from 0 (deterministic) to 1.")
    is_falling = all(first > second for first, second in pairwise(timesteps))
    if not timesteps or not is_falling or timesteps[0] >= num_timesteps or timesteps[-1] < 0:
        raise ConfigError(
            f"timesteps={list(timesteps)} cannot be sampled: give at least one, strictly "
            f"falling, from {num_timesteps - 1} down to 0."
        )

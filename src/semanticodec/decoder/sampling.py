"""How a model is sampled: the samplers and qualities by name, and the settings behind them.

    config.json: sampling (= "standard"), sampling_presets ("draft", "best")
        -> choose_sampling(quality, what the user asks for) -> SamplingConfig -> decode_windows

Standard library only: the command line reads the names without loading torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from semanticodec.errors import ConfigError

SAMPLERS = ("ddim", "dpm++2m", "unipc")
QUALITIES = ("draft", "standard", "best")
# Of everything after the quantizers; by their names in torch.
DTYPES = ("float32", "bfloat16", "float16")
EVERYWHERE = (0.0, 1.0)
# What DPM-Solver++ needs to come close to 50 steps of DDIM (Lu et al., 2022, Section 7).
DRAFT_STEPS = 10


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How a model is sampled by default; the defaults are the release's.

    Attributes:
        sampler: "ddim", "dpm++2m" or "unipc".
        num_steps: network evaluations per window, 1..1000.
        guidance_scale: v = v_uncond + w (v_cond - v_uncond); 1 leaves the unconditional pass out.
        eta: stochasticity, 0 (deterministic) to 1; "unipc" takes 0 only.
        timestep_shift: 0 spaces timesteps evenly and ends at timestep 0, as the release does;
            s >= 1 starts at pure noise, spends more steps near it and ends at the clean latent
            (for schedules with zero terminal SNR).
        guidance_interval: lowest and highest timestep / num_timesteps that is guided; the other
            steps are conditional only, at half the cost.
    """

    sampler: str = "ddim"
    num_steps: int = 50
    guidance_scale: float = 2.0
    eta: float = 1.0
    timestep_shift: float = 0.0
    guidance_interval: tuple[float, float] = EVERYWHERE

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"sampler is {self.sampler!r}; choose one of {', '.join(SAMPLERS)}")
        if not math.isfinite(self.guidance_scale):
            raise ConfigError(f"guidance_scale is {self.guidance_scale}; give a finite number")
        if not _is_interval(self.guidance_interval):
            raise ConfigError(
                f"guidance_interval is {self.guidance_interval}; give two numbers from 0 (clean) "
                "to 1 (pure noise), the lower one first"
            )


@dataclass(frozen=True, kw_only=True)
class SamplingPresets:
    """A model's settings beside its standard ones, chosen by measurement.

    Attributes:
        draft: audibly cheaper than standard; None: see `choose_sampling`.
        best: whatever it costs; None: see `choose_sampling`.
    """

    draft: SamplingConfig | None = None
    best: SamplingConfig | None = None


def choose_sampling(
    standard: SamplingConfig,
    presets: SamplingPresets,
    quality: str = "standard",
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    sampler: str | None = None,
    eta: float | None = None,
    guidance_interval: tuple[float, float] | None = None,
) -> SamplingConfig:
    """Return the settings of a quality, with what the user asks for in their place.

    A model that names no draft, as the official ones, is sampled by 10 deterministic steps of
    "dpm++2m" where its standard takes more. One that names no best has measured nothing better
    than its standard.

    Args:
        standard: the model's default.
        presets: the model's other qualities.
        quality: "draft", "standard" or "best".
        num_steps: None, here and below: as the quality says.
        guidance_scale: see `SamplingConfig`.
        sampler: see `SamplingConfig`. Another one than the quality's adds no noise by itself,
            and one that is not "ddim" ends at the clean latent.
        eta: see `SamplingConfig`.
        guidance_interval: see `SamplingConfig`.
    Raises:
        ConfigError: no such quality or sampler, or a value out of its range.
    """
    if quality not in QUALITIES:
        raise ConfigError(f"quality is {quality!r}; choose one of {', '.join(QUALITIES)}")
    named = {"draft": presets.draft or _draft_of(standard), "best": presets.best}
    preset = named.get(quality) or standard
    if sampler not in (None, preset.sampler):
        preset = _with_sampler(preset, sampler)
    asked = {
        "num_steps": num_steps,
        "guidance_scale": guidance_scale,
        "eta": eta,
        "guidance_interval": guidance_interval,
    }
    return replace(preset, **{name: value for name, value in asked.items() if value is not None})


def _draft_of(standard: SamplingConfig) -> SamplingConfig:
    if standard.num_steps <= DRAFT_STEPS:
        return standard
    return replace(_with_sampler(standard, "dpm++2m"), num_steps=DRAFT_STEPS)


def _with_sampler(settings: SamplingConfig, sampler: str) -> SamplingConfig:
    """Return the settings for another sampler than the one that they were chosen for.

    How much noise is good for one says nothing about another: none. The samplers that extrapolate
    fail over the release's step to timestep 1, which is four times as long in log-SNR as those
    that they learn from (at 10 steps): they go from pure noise to the clean latent instead.
    """
    is_multistep = sampler != "ddim"
    shift = max(settings.timestep_shift, 1.0) if is_multistep else settings.timestep_shift
    return replace(settings, sampler=sampler, eta=0.0, timestep_shift=shift)


def _is_interval(values: Sequence[object]) -> bool:
    """Tell whether a JSON file's or a user's values are numbers 0 ≤ low ≤ high ≤ 1."""
    numbers = [value for value in values if isinstance(value, (int, float))]
    return len(values) == len(numbers) == 2 and 0 <= numbers[0] <= numbers[1] <= 1

"""How a model is sampled: the samplers and qualities by name, and the one list of settings.

    config.json: sampling (= "standard"), sampling_presets ("draft", "best")
        -> choose_sampling(quality, what the user asks for) -> SamplingConfig -> Decoder.sample

A new setting is a field of `SamplingConfig` and its use; the codec's methods and the command line
take their names from there. A new sampler is its function and an entry in `SAMPLERS`.

Standard library only: the command line reads the names without loading torch.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple, Union

from semanticodec.errors import ConfigError, told

QUALITIES = ("draft", "standard", "best")
EVERYWHERE = (0.0, 1.0)
MAX_STEPS = 1000
# What DPM-Solver++ needs to come close to 50 steps of DDIM (Lu et al., 2022, Section 7).
DRAFT_STEPS = 10

SamplingValue = Union[int, float, str, "tuple[float, float]", None]


class Sampler(NamedTuple):
    """A sampler and what it can do.

    Attributes:
        load: returns its function, called like `sampler.ddim`; imports torch.
        is_multistep: whether it extrapolates from earlier steps and so goes from pure noise to the
            clean latent without the release's large step to timestep 1 (see `_with_sampler`).
        takes_eta: whether it can add noise at each step and takes `eta`.
    """

    load: Callable[[], Callable[..., Any]]
    is_multistep: bool
    takes_eta: bool


def _ddim() -> Callable[..., Any]:
    from semanticodec.decoder.sampler import ddim

    return ddim


def _dpm_solver_2m() -> Callable[..., Any]:
    from semanticodec.decoder.multistep import dpm_solver_2m

    return dpm_solver_2m


def _unipc() -> Callable[..., Any]:
    from semanticodec.decoder.multistep import unipc

    return unipc


SAMPLERS = {
    "ddim": Sampler(_ddim, is_multistep=False, takes_eta=True),
    "dpm++2m": Sampler(_dpm_solver_2m, is_multistep=True, takes_eta=True),
    "unipc": Sampler(_unipc, is_multistep=True, takes_eta=False),
}


def _setting(
    default: Any,
    help: str,
    metavar: str | tuple[str, ...] | None = None,
    limits: tuple[float, float] = (0, math.inf),
) -> Any:
    """Return a field with what the command line says of its option, and bounds of its numbers."""
    return field(default=default, metadata={"help": help, "metavar": metavar, "limits": limits})


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How a model is sampled; the defaults are the release's.

    Attributes:
        sampler: name of the diffusion sampler, one of `SAMPLERS`.
        num_steps: number of network evaluations per window, 1 to 1000.
        guidance_scale: classifier-free guidance scale w in v = v_uncond + w (v_cond - v_uncond);
            1 leaves the unconditional pass out.
        eta: share of fresh noise at each step, 0 (deterministic) to 1; "unipc" takes 0 only.
        timestep_shift: spacing of the timesteps. 0 spaces them evenly and ends at timestep 0, as
            the release does; s >= 1 starts at pure noise, spends more steps near it and ends at
            the clean latent (for schedules with zero terminal SNR).
        guidance_interval: lowest and highest timestep / num_timesteps that is guided; the other
            steps are conditional only, at half the cost.
    Raises:
        ConfigError: a value that is not possible.
    """

    sampler: str = _setting("ddim", "diffusion sampler")
    num_steps: int = _setting(
        50, "number of sampling steps: more are slower and finer", "N", limits=(1, MAX_STEPS)
    )
    guidance_scale: float = _setting(2.0, "classifier-free guidance scale (1 = off)", "W")
    eta: float = _setting(
        1.0, "amount of noise added at each step, 0 (deterministic) to 1", "E", limits=(0, 1)
    )
    timestep_shift: float = _setting(
        0.0, "spacing of the steps: 0 even, 1 and more denser toward pure noise", metavar="S"
    )
    guidance_interval: tuple[float, float] = _setting(
        EVERYWHERE,
        "range of noise levels that are guided, 0 (clean) to 1 (pure noise); a smaller range "
        "saves time",
        metavar=("LOW", "HIGH"),
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _typed(item.name, getattr(self, item.name), item.default)
            object.__setattr__(self, item.name, value)
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"sampler is {self.sampler!r}; choose one of {', '.join(SAMPLERS)}")
        if not 1 <= self.num_steps <= MAX_STEPS:
            raise ConfigError(
                f"num_steps is {self.num_steps}; give a whole number from 1 to {MAX_STEPS}"
            )
        if not 0 <= self.eta <= 1:
            raise ConfigError(f"eta is {self.eta}; give a number from 0 (deterministic) to 1")
        if self.timestep_shift and self.timestep_shift < 1:
            raise ConfigError(f"timestep_shift is {self.timestep_shift}; give 0, or 1 and more")

    def solver(self) -> Callable[..., Any]:
        """Return the sampler's function with `eta` filled in; imports torch.

        Raises:
            ConfigError: eta for a sampler that adds no noise.
        """
        sampler = SAMPLERS[self.sampler]
        if sampler.takes_eta:
            return partial(sampler.load(), eta=self.eta)
        if self.eta:
            others = [name for name, other in SAMPLERS.items() if other.takes_eta]
            raise ConfigError(
                f"eta is {self.eta}, but {self.sampler} adds no noise; give eta 0, or the sampler "
                f"{' or '.join(others)}"
            )
        return sampler.load()


def _typed(name: str, value: Any, default: Any) -> Any:
    """Return a setting in the type of its default.

    Raises:
        ConfigError: another type, or not finite.
    """
    if isinstance(default, tuple):
        if not _is_interval(value):
            raise ConfigError(
                f"{name} is {told(value)}; give two numbers from 0 (clean) to 1 (pure noise), the "
                "lower one first"
            )
        return float(value[0]), float(value[1])
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ConfigError(f"{name} is {told(value)}; give a name, such as {default!r}")
        return value
    kind, words = (Integral, "a whole") if isinstance(default, int) else (Real, "a finite")
    if not isinstance(value, kind) or isinstance(value, bool) or not math.isfinite(value):  # type: ignore[arg-type]
        raise ConfigError(f"{name} is {told(value)}; give {words} number")
    return type(default)(value)  # type: ignore[call-overload]


def _is_interval(values: Any) -> bool:
    """Tell whether a JSON file's or a user's values are numbers 0 ≤ low ≤ high ≤ 1."""
    if not isinstance(values, (tuple, list)):
        return False
    numbers = [value for value in values if isinstance(value, (int, float))]
    return len(values) == len(numbers) == 2 and bool(0 <= numbers[0] <= numbers[1] <= 1)


@dataclass(frozen=True, kw_only=True)
class SamplingPresets:
    """A model's settings for the other qualities, chosen by measurement.

    Attributes:
        draft: audibly cheaper than standard; None: see `qualities`.
        best: best sound at whatever cost; None: see `qualities`.
    """

    draft: SamplingConfig | None = None
    best: SamplingConfig | None = None


def qualities(standard: SamplingConfig, presets: SamplingPresets) -> dict[str, SamplingConfig]:
    """Return the settings behind the names of `QUALITIES`; several may be the same.

    A model that names no draft, as the official ones, is sampled by 10 deterministic steps of
    "dpm++2m" where its standard takes more. One that names no best has measured nothing better
    than its standard.

    Args:
        standard: the model's default.
        presets: the model's other qualities.
    """
    found = (presets.draft or _draft_of(standard), standard, presets.best or standard)
    return dict(zip(QUALITIES, found, strict=True))


def choose_sampling(
    standard: SamplingConfig,
    presets: SamplingPresets,
    sampling: SamplingConfig | str = "standard",
    **asked: SamplingValue,
) -> SamplingConfig:
    """Return the settings of a quality, or given ones, with what the user asks for in their place.

    Args:
        standard: the model's default.
        presets: the model's other qualities.
        sampling: name of a quality, or settings.
        asked: attributes of `SamplingConfig` by name; None leaves one as it is. Another sampler
            than that of `sampling` adds no noise by itself, and a multistep one ends at the clean
            latent.
    Raises:
        ConfigError: no such quality, setting or sampler, or a value out of its range.
    """
    names = [item.name for item in fields(SamplingConfig)]
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise ConfigError(
            f"there is no sampling setting {', '.join(unknown)}; choose from {', '.join(names)}"
        )
    if isinstance(sampling, SamplingConfig):
        chosen = sampling
    else:
        offered = qualities(standard, presets)
        if not isinstance(sampling, str) or sampling not in offered:
            raise ConfigError(f"quality is {told(sampling)}; choose one of {', '.join(QUALITIES)}")
        chosen = offered[sampling]
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    sampler = _typed("sampler", changes.pop("sampler", chosen.sampler), chosen.sampler)
    if sampler != chosen.sampler:
        chosen = _with_sampler(chosen, sampler)
    chosen = replace(chosen, **changes)
    if standard.num_steps == 1 < chosen.num_steps:
        warnings.warn(
            "this model was trained to decode in one step; "
            f"with {chosen.num_steps} it sounds worse",
            stacklevel=2,
        )
    return chosen


def _draft_of(standard: SamplingConfig) -> SamplingConfig:
    if standard.num_steps <= DRAFT_STEPS:
        return standard
    return replace(_with_sampler(standard, "dpm++2m"), num_steps=DRAFT_STEPS)


def _with_sampler(settings: SamplingConfig, sampler: str) -> SamplingConfig:
    """Return the settings for another sampler than the one that they were chosen for.

    How much noise is good for one says nothing about another: none. The samplers that extrapolate
    fail over the release's step to timestep 1, which is four times as long in log-SNR as those
    that they extrapolate from (at 10 steps): they go from pure noise to the clean latent instead.
    """
    is_multistep = sampler in SAMPLERS and SAMPLERS[sampler].is_multistep
    shift = max(settings.timestep_shift, 1.0) if is_multistep else settings.timestep_shift
    return replace(settings, sampler=sampler, eta=0.0, timestep_shift=shift)

"""What is trained, in which order, with which share of the time; and how many steps fit into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from semanticodec.recipes import audiomae, codebook, codec, decoder, vae, vocoder
from semanticodec.training.stages.codebook import CodebookRecipe
from semanticodec.training.train import Recipe

# Parts of a step's time after which the number of optimizer steps is estimated anew: the learning
# rate falls with their number, and discriminators that start late make them slower.
PORTIONS = (0.1, 0.45, 1.0)
EVALUATION_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class Step:
    """One module of the plan.

    Attributes:
        name: name of its run folder.
        make: recipe function.
        share: share of the time. Codebooks take what they need, the rest is divided anew.
        modules: steps whose exports it builds on, by the name of the module.
    """

    name: str
    make: Callable[[], Recipe | CodebookRecipe]
    share: float
    modules: Mapping[str, str] = field(default_factory=dict)


def _plan(
    audiomae_recipe: Callable[[], Recipe],
    codebooks: Mapping[int, Callable[[], CodebookRecipe]],
    vae_recipe: Callable[[], Recipe],
    vocoder_recipe: Callable[[], Recipe],
    codec_recipe: Callable[[], Recipe],
    decoder_recipe: Callable[[], Recipe],
) -> tuple[Step, ...]:
    names = [f"codebook_{rate}" for rate in codebooks]
    below = {name: name for name in ("audiomae", "vae", "vocoder", *names)}
    return (
        Step(name="audiomae", make=audiomae_recipe, share=0.3),
        *(
            Step(name=name, make=make, share=0.02, modules={"audiomae": "audiomae"})
            for name, make in zip(names, codebooks.values(), strict=True)
        ),
        Step(name="vae", make=vae_recipe, share=0.05),
        Step(name="vocoder", make=vocoder_recipe, share=0.1, modules={"vae": "vae"}),
        Step(name="codec", make=codec_recipe, share=0.26, modules=below),
        Step(name="decoder", make=decoder_recipe, share=0.18, modules={"codec": "codec"}),
    )


def large() -> tuple[Step, ...]:
    """AudioMAE of 21.6 M, T-UNet of 71 M: some 12 minutes of a GPU of 80 GB or more."""
    codebooks = {100: codebook.small, 50: codebook.small_50, 25: codebook.small_25}
    return _plan(
        audiomae.large, codebooks, vae.large, vocoder.large, codec.large_rates, decoder.large
    )


def tiny() -> tuple[Step, ...]:
    """The same with tiny modules, to try it all on any machine; nothing is learned."""

    def clustering(stack_factor: int) -> Callable[[], CodebookRecipe]:
        return lambda: replace(codebook.tiny(), stack_factor=stack_factor)

    codebooks = {100: clustering(1), 50: clustering(2), 25: clustering(4)}
    return _plan(
        audiomae.tiny, codebooks, vae.tiny, vocoder.tiny_harmonic, codec.tiny_rates, decoder.tiny
    )


PLANS = {"large": large, "tiny": tiny}


def allotted_s(steps: Sequence[Step], left_s: float) -> float:
    """Return the seconds of the first of the steps that are left to do.

    Args:
        steps: the step, and those after it.
        left_s: what is left of the budget.
    """
    shares = sum(step.share for step in steps) + EVALUATION_SHARE
    return max(left_s, 0.0) * steps[0].share / shares


def steps_that_fit(done: int, steps_per_second: float, left_s: float) -> int:
    """Return the number of optimizer steps, those that are done included, at least one more."""
    return done + max(1, int(steps_per_second * left_s))

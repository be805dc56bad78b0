"""Training runs as Python functions: one module per stage, one function per run.

`STAGES[stage]()` imports a stage's module only when it is asked for and returns its recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semanticodec.training.train import Runnable

Recipes = Mapping[str, "Callable[[], Runnable]"]


def _audiomae() -> Recipes:
    from semanticodec.recipes import audiomae

    return audiomae.RECIPES


def _vae() -> Recipes:
    from semanticodec.recipes import vae

    return vae.RECIPES


def _vocoder() -> Recipes:
    from semanticodec.recipes import vocoder

    return vocoder.RECIPES


def _codebook() -> Recipes:
    from semanticodec.recipes import codebook

    return codebook.RECIPES


def _codec() -> Recipes:
    from semanticodec.recipes import codec

    return codec.RECIPES


STAGES: dict[str, Callable[[], Recipes]] = {
    "audiomae": _audiomae,
    "vae": _vae,
    "vocoder": _vocoder,
    "codebook": _codebook,
    "codec": _codec,
}

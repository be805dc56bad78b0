"""Training runs as Python functions: one file per stage, one function per run.

Nothing here imports torch at the top, so that the command line answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semanticodec.training.train import Runnable

STAGES = ("audiomae", "codebook", "codec", "decoder", "vae", "vocoder")


def recipes_of(stage: str) -> Mapping[str, Callable[[], Runnable]]:
    """Return the runs of a stage by name.

    Args:
        stage: one of STAGES, each of which has a file here with a table RECIPES.
    """
    return import_module(f"{__name__}.{stage}").RECIPES

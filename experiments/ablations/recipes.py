"""The paper's training ablations (Sec. V-C): complete runs that differ from a base in one setting.

base(size, token_rate) -> Recipe          what the variants have in common
VARIANTS[name](base)   -> label: Recipe   the rows of one table
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from experiments.ablations.learned_semantic import LearnedSemanticStage
from semanticodec.recipes import codebook, codec
from semanticodec.token_format import TokenGrid
from semanticodec.training.stages.codebook import CodebookRecipe
from semanticodec.training.train import Recipe

SIZES = ("tiny", "small", "paper")
# Tables V, VI and VII are of this rate; Table IV has all three.
PAPER_RATE = 50


def base(size: str, token_rate: int) -> Recipe:
    """Return the run that the variants change.

    Args:
        size: "tiny" takes seconds (for tests), "small" minutes on a CPU, "paper" GPUs.
        token_rate: 100, 50 or 25 tokens per second.
    """
    if size == "paper":
        return codec.RECIPES[f"paper_{token_rate}"]()
    recipe = codec.tiny() if size == "tiny" else _short(codec.small())
    single = _with(recipe, stack_factors=(TokenGrid(token_rate).stack_factor,))
    return replace(single, name=f"codec/{size}_{token_rate}")


def _short(recipe: Recipe) -> Recipe:
    """Return a run cut down to minutes: enough to tell variants apart, not to sound well."""
    return replace(
        _with(recipe, cached_windows=640),
        train=replace(recipe.train, steps=400, sample_every=400, checkpoint_every=100),
    )


def clustering(size: str, token_rate: int) -> CodebookRecipe:
    """Return the run that makes the semantic codebooks which the variants are trained with."""
    name = f"paper_{token_rate}" if size == "paper" else size
    recipe = replace(codebook.RECIPES[name](), stack_factor=TokenGrid(token_rate).stack_factor)
    # The built-in model's largest vocabularies would take longer than the variants' training.
    return replace(recipe, vocab_sizes=(4096, 8192)) if size == "small" else recipe


def centroids(size: str, token_rate: int) -> CodebookRecipe:
    """Table V: more and more centroids."""
    sizes = {"tiny": (8, 16), "small": (1024, 2048, 4096, 8192), "paper": codebook.PAPER_SIZES}
    return replace(clustering(size, token_rate), vocab_sizes=sizes[size])


def variable_vocabulary(recipe: Recipe) -> dict[str, Recipe]:
    """Table IV: the largest vocabulary in every batch, or one of all drawn at random."""
    return {
        "fixed vocabulary": _variant(recipe, "fixed", is_vocabulary_fixed=True),
        "variable vocabulary": _variant(recipe, "variable", is_vocabulary_fixed=False),
    }


def acoustic_codebook(recipe: Recipe) -> dict[str, Recipe]:
    """Table VI: the base's acoustic codebook, half and a quarter of it."""
    largest = recipe.stage_config.quantizer
    variants = {}
    for size in (largest.codebook_size // part for part in (1, 2, 4)):
        quantizer = replace(largest, codebook_size=size)
        variants[f"acoustic codebook {size}"] = _variant(recipe, str(size), quantizer=quantizer)
    return variants


def lstm_direction(recipe: Recipe) -> dict[str, Recipe]:
    """Table VI: an acoustic encoder that looks both ways, or back only."""
    return {
        "bidirectional LSTM": _variant(recipe, "bidirectional", is_acoustic_bidirectional=True),
        "unidirectional LSTM": _variant(recipe, "unidirectional", is_acoustic_bidirectional=False),
    }


def learnable_semantic(recipe: Recipe) -> dict[str, Recipe]:
    """Table VII: k-means centroids, or codes learned like the acoustic ones.

    Both have the largest vocabulary only, so that nothing else differs.
    """
    fixed = _variant(recipe, "k-means", is_vocabulary_fixed=True)
    # The acoustic layer's settings, less what would not leave a plain table of codes.
    semantic = replace(
        recipe.stage_config.quantizer, code_width=None, l2_normalize=False, entropy_weight=0.0
    )
    config = fixed.stage_config
    shared = {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}
    learned = replace(
        fixed,
        name=f"{recipe.name}/learned",
        stage=LearnedSemanticStage,
        stage_config=LearnedSemanticStage.Config(**shared, semantic=semantic),
    )
    return {"k-means centroids": fixed, "learned codebook": learned}


def _variant(recipe: Recipe, label: str, **changes: Any) -> Recipe:
    return replace(_with(recipe, **changes), name=f"{recipe.name}/{label}")


def _with(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, stage_config=replace(recipe.stage_config, **changes))


VARIANTS: Mapping[str, Callable[[Recipe], dict[str, Recipe]]] = {
    "variable-vocabulary": variable_vocabulary,
    "acoustic-codebook": acoustic_codebook,
    "lstm-direction": lstm_direction,
    "learnable-semantic": learnable_semantic,
}

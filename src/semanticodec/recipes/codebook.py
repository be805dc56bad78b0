"""Runs that make the semantic codebooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from semanticodec.token_format import TokenGrid
from semanticodec.training.stages.codebook import CodebookRecipe

PAPER_SIZES = (4096, 8192, 16384, 32768)


def small() -> CodebookRecipe:
    """Three vocabularies at 100 tokens per second: minutes for a million features."""
    return CodebookRecipe(
        name="codebook/small",
        vocab_sizes=(4096, 8192, 32768),
        features_per_centroid=100,
        iterations=15,
    )


def small_50() -> CodebookRecipe:
    """`small` at 50 tokens per second: half the features, so half the largest vocabulary."""
    return replace(
        small(), name="codebook/small_50", stack_factor=2, vocab_sizes=(4096, 8192, 16384)
    )


def small_25() -> CodebookRecipe:
    """`small` at 25 tokens per second."""
    return replace(small(), name="codebook/small_25", stack_factor=4, vocab_sizes=(4096, 8192))


def _paper(stack_factor: int) -> CodebookRecipe:
    """The four vocabularies of the paper (Sec. IV-D)."""
    return CodebookRecipe(
        name=f"codebook/paper_{TokenGrid.from_stack_factor(stack_factor).token_rate}",
        stack_factor=stack_factor,
        vocab_sizes=PAPER_SIZES,
        iterations=40,
    )


def paper_100() -> CodebookRecipe:
    """100 tokens per second, K = 1."""
    return _paper(1)


def paper_50() -> CodebookRecipe:
    """50 tokens per second, K = 2."""
    return _paper(2)


def paper_25() -> CodebookRecipe:
    """25 tokens per second, K = 4."""
    return _paper(4)


def tiny() -> CodebookRecipe:
    """Seconds on one core, for tests."""
    return CodebookRecipe(name="codebook/tiny", vocab_sizes=(8, 16), iterations=2)


def _pooled(recipe: CodebookRecipe) -> CodebookRecipe:
    """The same for data without domains."""
    return replace(recipe, name=f"{recipe.name}_pooled", shares=())


DOMAIN_RECIPES = {
    "small": small,
    "small_50": small_50,
    "small_25": small_25,
    "paper_100": paper_100,
    "paper_50": paper_50,
    "paper_25": paper_25,
    "tiny": tiny,
}
RECIPES: dict[str, Callable[[], CodebookRecipe]] = {
    **DOMAIN_RECIPES,
    **{
        f"{name}_pooled": lambda make=make: _pooled(make()) for name, make in DOMAIN_RECIPES.items()
    },
}

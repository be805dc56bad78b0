"""Variants that are trained for the comparison (paper Tables IV to VII)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.ablations import recipes as ablations
from experiments.ablations.learned_semantic import LearnedSemanticStage
from experiments.ablations.training import Training, read_inertia
from experiments.ablations.variant import EXPECTED_ERRORS, Failure, Outcome, Variant
from semanticodec.training.train import Recipe

Tell = Callable[[str], object]

# What distinguishes the rows of a table, read from their recipes.
SETTINGS: Mapping[str, Callable[[Recipe], dict[str, Any]]] = {
    "variable-vocabulary": lambda recipe: {
        "stack_factor": recipe.stage_config.stack_factors[0],
        "vocabulary": "fixed" if recipe.stage_config.is_vocabulary_fixed else "variable",
    },
    "acoustic-codebook": lambda recipe: {
        "acoustic_codebook": recipe.stage_config.quantizer.codebook_size
    },
    "lstm-direction": lambda recipe: {
        "bidirectional": recipe.stage_config.is_acoustic_bidirectional
    },
    "learnable-semantic": lambda recipe: {
        "semantic": "learned" if recipe.stage is LearnedSemanticStage else "k-means"
    },
}


def trained_variants(
    name: str, training: Training, token_rates: Sequence[int], *, tell: Tell
) -> Outcome:
    """Train the variants of a table, one after the other; finished ones are left as they are.

    Args:
        name: of `recipes.VARIANTS`.
        training: data, modules and size.
        token_rates: a set of variants for each.
        tell: called with a line when something begins.
    Returns:
        The trained models, and the variants that failed.
    Raises:
        KeyboardInterrupt: a signal stopped the training; the same call goes on.
    """
    parts = [_variants_of_rate(name, training, rate, tell) for rate in token_rates]
    return _joined(parts, token_rates)


def _variants_of_rate(name: str, training: Training, rate: int, tell: Tell) -> Outcome:
    recipes = ablations.VARIANTS[name](ablations.base(training.size, rate))
    tell(f"codebooks for {rate} tokens per second")
    try:
        codebook = training.codebook(rate)
    except EXPECTED_ERRORS as error:
        return Outcome(failures=tuple(Failure.of(label, error) for label in recipes))
    variants: list[Variant] = []
    failures: list[Failure] = []
    for label, recipe in recipes.items():
        tell(f"{label}, {rate} tokens per second")
        folder = training.out / f"{label.replace(' ', '_')}_{rate}"
        try:
            record = training.trained(recipe, folder, codebook)
        except EXPECTED_ERRORS as error:
            failures.append(Failure.of(label, error))
            continue
        variants.append(
            Variant(
                label=label,
                settings={"rate": rate, **SETTINGS[name](recipe)},
                model=folder / "export",
                training=record,
            )
        )
    return Outcome(variants=tuple(variants), failures=tuple(failures))


def centroid_variants(training: Training, token_rates: Sequence[int], *, tell: Tell) -> Outcome:
    """Cluster AudioMAE's features with more and more centroids (Table V).

    The models around the codebooks are untrained: only their semantic features mean something.

    Args:
        training: data, modules and size.
        token_rates: all sizes for each.
        tell: called with a line when something begins.
    """
    parts = [_centroids_of_rate(training, rate, tell) for rate in token_rates]
    return _joined(parts, token_rates)


def _centroids_of_rate(training: Training, rate: int, tell: Tell) -> Outcome:
    clustering = ablations.centroids(training.size, rate)
    labels = {size: f"{size} centroids" for size in clustering.vocab_sizes}
    tell(f"centroids for {rate} tokens per second")
    try:
        codebook = training.clustered(clustering, training.out / f"centroids_{rate}")
        model = training.joined(training.out / f"model_{rate}", rate, codebook)
        inertia = read_inertia(codebook)
    except EXPECTED_ERRORS as error:
        return Outcome(failures=tuple(Failure.of(label, error) for label in labels.values()))
    variants = [
        Variant(
            label=label,
            settings={"rate": rate, "centroids": size},
            model=model,
            options={"vocab": size},
            training={"recipe": clustering.name, "inertia": inertia[str(size)]},
        )
        for size, label in labels.items()
    ]
    return Outcome(variants=tuple(variants))


def _joined(parts: Sequence[Outcome], token_rates: Sequence[int]) -> Outcome:
    """Join the outcomes of several token rates; with more than one, labels name theirs."""
    variants: list[Variant] = []
    failures: list[Failure] = []
    for part, rate in zip(parts, token_rates):
        suffix = f" at {rate} tokens per second" if len(token_rates) > 1 else ""
        variants += [replace(item, label=item.label + suffix) for item in part.variants]
        failures += [replace(item, label=item.label + suffix) for item in part.failures]
    return Outcome(variants=tuple(variants), failures=tuple(failures))

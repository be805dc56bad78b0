"""Measures the variants of an ablation: how they reconstruct, and what their codes mean.

OUT/reconstruction/   results of `evaluate reconstruction`, a system for each variant
OUT/semantics/        results of `evaluate semantics`, the first layer of each variant
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.ablations.variant import EXPECTED_ERRORS, Failure, Variant
from semanticodec.evaluation.reconstruction import Settings, evaluate
from semanticodec.evaluation.semantics.run import evaluate_semantics
from semanticodec.evaluation.suites import Suite
from semanticodec.evaluation.systems import open_system

FIRST_LAYER = "semantic"
AVERAGE = "average"

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reconstructions:
    """How the variants reconstruct.

    Attributes:
        systems: what the evaluation says of each, by label.
        failures: variants that could not be opened, or failed on every clip.
        suite: what it was measured on, as in the results.
        settings: settings of the measurement, as in the results.
    """

    systems: Json = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    suite: Json = field(default_factory=dict)
    settings: Json = field(default_factory=dict)


def measure_reconstruction(
    variants: Sequence[Variant], suite: Suite, settings: Settings, folder: Path
) -> Reconstructions:
    """Reconstruct the suite with every variant; what an earlier call measured is kept.

    Args:
        variants: each a model with settings.
        suite: the clips.
        settings: settings of the evaluation.
        folder: folder of its results.
    """
    openable: list[Variant] = []
    failures: list[Failure] = []
    for variant in variants:
        try:
            open_system(variant.spec, threads=settings.threads, device=settings.device)
        except EXPECTED_ERRORS as error:
            failures.append(Failure.of(variant.label, error))
        else:
            openable.append(variant)
    if not openable:
        return Reconstructions(failures=tuple(failures))
    results = evaluate(suite, [variant.spec for variant in openable], folder, settings)
    systems = {system["name"]: system for system in results["systems"]}
    failures += [
        Failure(label=label, error=f"every clip failed, first: {system['failures'][0]['error']}")
        for label, system in systems.items()
        if not system["scores"]
    ]
    return Reconstructions(
        systems={label: system for label, system in systems.items() if system["scores"]},
        failures=tuple(failures),
        suite=results["suite"],
        settings=results["settings"],
    )


def measure_semantics(
    variants: Sequence[Variant], tasks: Sequence[Path], folder: Path, *, show_progress: bool
) -> tuple[dict[str, Json], tuple[Failure, ...]]:
    """Probe the first layer of every variant; what an earlier call measured is kept.

    Args:
        variants: each a model with settings.
        tasks: task folders, or folders of such.
        folder: folder of the results.
        show_progress: draw bars.
    Returns:
        The row's semantics by label: task -> mean and std, and their average; and what
        failed.
    """
    specs = [f"{variant.spec},layers={FIRST_LAYER}" for variant in variants]
    results = evaluate_semantics(tasks, specs, out=folder, show_progress=show_progress)
    names = [task["name"] for task in results["tasks"]]
    semantics: dict[str, Json] = {}
    for score in results["scores"]:
        label = score["features"].removesuffix(f":{FIRST_LAYER}")
        own = semantics.setdefault(label, {})
        own[score["task"]] = {"mean": score["mean"], "std": score["std"]}
    for own in semantics.values():
        if set(own) == set(names):
            means = [own[name]["mean"] for name in names]
            own[AVERAGE] = math.fsum(means) / len(means)
    return semantics, tuple(_probe_failure(failure) for failure in results["failures"])


def _probe_failure(failure: Json) -> Failure:
    where = [failure[key] for key in ("features", "task", "clip") if key in failure]
    return Failure(label=", ".join(where), error=failure["error"])

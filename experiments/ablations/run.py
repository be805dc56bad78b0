"""One ablation from start to end: variants, measures, results.json, results.csv and report.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.ablations.measure import (
    Reconstructions,
    measure_reconstruction,
    measure_semantics,
)
from experiments.ablations.report import csv_text, markdown
from experiments.ablations.variant import Failure, Outcome, Variant
from experiments.results.reader import ABLATIONS
from semanticodec.evaluation.metrics import Metrics, Resources
from semanticodec.evaluation.reconstruction import Settings
from semanticodec.evaluation.semantics.tasks import find_tasks
from semanticodec.evaluation.suites import Suite
from semanticodec.files import write_json, write_text
from semanticodec.provenance import FORMAT, provenance
from semanticodec.runs import claim

CLAIM_NAME = "ablation.json"
REMEDY = "give the same options again, or another --output"
# Where the paper has each ablation.
PAPER: Mapping[str, Mapping[str, str]] = {
    "variable-vocabulary": {"table": "IV"},
    "centroids": {"table": "V"},
    "acoustic-codebook": {"table": "VI"},
    "lstm-direction": {"table": "VI"},
    "learnable-semantic": {"table": "VII"},
    "guidance-steps": {"figure": "6"},
    "vocabulary": {"figure": "7"},
}

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What is compared, on what, and where the results go.

    Attributes:
        name: one of `PAPER`.
        out: folder of the results.
        origin: what all rows have in common, such as model or training data, as JSON values.
        make_variants: trains or lists them.
        suite: clips to reconstruct; None reconstructs nothing.
        reconstruction: settings of measuring reconstruction.
        tasks: task folders of the semantic probe; empty probes nothing.
    """

    name: str
    out: Path
    origin: Mapping[str, Any]
    make_variants: Callable[[], Outcome]
    suite: Suite | None = None
    reconstruction: Settings = field(default_factory=Settings)
    tasks: tuple[Path, ...] = ()

    def run(self) -> Json:
        """Return the results, which are also written; the same call resumes an interrupted run.

        A variant that fails is named under "failures", and the others are measured.

        Raises:
            ConfigError: the folder holds another ablation, or one of another origin.
            DataError: no tasks where they should be.
            MissingDependencyError: a metric needs what is not installed.
            KeyboardInterrupt: a signal stopped the training.
        """
        # Rows of another kind would be mixed with these.
        claimed = {"ablation": self.name, **self.origin}
        claim(self.out, claimed, name=CLAIM_NAME, remedy=REMEDY)
        # What measuring would stumble over is said before hours of training.
        if self.suite is not None:
            Metrics(
                self.reconstruction.metrics,
                Resources(
                    recognizer=self.reconstruction.recognizer,
                    speaker_model=self.reconstruction.speaker_model,
                ),
            )
        find_tasks(self.tasks)
        outcome = self.make_variants()
        variants, failures = outcome.variants, list(outcome.failures)
        measured, semantics = Reconstructions(), {}
        if self.suite is not None and variants:
            measured = measure_reconstruction(
                variants, self.suite, self.reconstruction, self.out / _folder_name(variants)
            )
            failures += measured.failures
        if self.tasks and variants:
            semantics, failed = measure_semantics(
                variants,
                self.tasks,
                self.out / "semantics",
                show_progress=self.reconstruction.show_progress,
            )
            failures += failed
        rows = [
            _row(variant, measured.systems.get(variant.label), semantics.get(variant.label))
            for variant in variants
            if variant.label in measured.systems or variant.label in semantics
        ]
        return self._written(rows, failures, measured)

    def _written(
        self, rows: Sequence[Json], failures: Sequence[Failure], measured: Reconstructions
    ) -> Json:
        results = {
            "format": FORMAT,
            "kind": ABLATIONS,
            **provenance(),
            "name": self.name,
            "paper": dict(PAPER[self.name]),
            "suite": measured.suite,
            "settings": {**self.origin, **measured.settings},
            "rows": list(rows),
            "failures": [dataclasses.asdict(failure) for failure in failures],
        }
        write_json(self.out / "results.json", results)
        write_text(self.out / "results.csv", csv_text(results))
        write_text(self.out / "report.md", markdown(results))
        return results


def _folder_name(variants: Sequence[Variant]) -> str:
    """Return where reconstructions are measured: trained further, a variant is another system."""
    steps = {variant.training.get("steps", 0) for variant in variants if variant.training}
    return "_".join(["reconstruction", *(f"{count}_steps" for count in sorted(steps))])


def _row(variant: Variant, system: Json | None, semantics: Json | None) -> Json:
    row: Json = {"label": variant.label, "settings": dict(variant.settings), "scores": {}}
    if system is not None:
        row.update({key: value for key, value in system.items() if key != "name"})
    if semantics is not None:
        row["semantics"] = semantics
    if variant.training is not None:
        row["training"] = dict(variant.training)
    return row

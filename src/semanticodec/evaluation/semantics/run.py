"""Every feature on every task: embed, probe, keep what is finished, and report.

OUT/results.json  results.csv  report.md
OUT/cache/embeddings/...  OUT/cache/scores/...     a second run takes these as they are
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.errors import ConfigError, DataError, SemantiCodecError
from semanticodec.evaluation.semantics.clustering import cluster
from semanticodec.evaluation.semantics.embedding_cache import embed_task
from semanticodec.evaluation.semantics.embeddings import group_features, open_embedder
from semanticodec.evaluation.semantics.features import Features, FeatureSpec
from semanticodec.evaluation.semantics.probe import (
    ProbeRun,
    ProbeSettings,
    majority_score,
    probe,
)
from semanticodec.evaluation.semantics.report import markdown, results_csv
from semanticodec.evaluation.semantics.tasks import (
    ACCURACY,
    SPLITS,
    Task,
    find_tasks,
    open_task,
    rounds,
)
from semanticodec.files import json_digest, write_json, write_text
from semanticodec.progress import ProgressBar
from semanticodec.provenance import FORMAT, provenance

DEFAULT_FEATURES = (
    "model:layers=all",
    "model:layers=semantic",
    "model:layers=continuous",
    "log-mel",
    "log-mel-stats",
)

SEMANTICS = "semantics"  # kind of the results file
PROBE, CLUSTERS = "probe", "clusters"

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SemanticsSettings:
    """How tasks are probed.

    Attributes:
        probe: grid, training and seeds.
        test_folds: folds to test on by the task's name, where not the task's own choice.
        limit: largest number of clips of each class in each fold or split.
        device: device of the models, such as `cpu` or `cuda`.
        measures: what is measured: the probe, how clusters agree with classes, or both.
    """

    probe: ProbeSettings = field(default_factory=ProbeSettings)
    test_folds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limit: int | None = None
    device: str = "cpu"
    measures: tuple[str, ...] = (PROBE,)


def evaluate_semantics(
    tasks: Sequence[Path],
    features: Sequence[str] = DEFAULT_FEATURES,
    *,
    out: Path,
    settings: SemanticsSettings | None = None,
    show_progress: bool = False,
) -> Json:
    """Probe features on tasks (paper Table III) and write the results.

    A task, model or clip that fails is named under "failures", and the others are measured.

    Args:
        tasks: task folders, or folders of such.
        features: specifications; see `embeddings`.
        out: folder of results and cache.
        settings: settings of the probe.
        show_progress: whether to draw bars.
    Returns:
        What results.json holds.
    Raises:
        ConfigError: features that are not understood, or test folds that no task has.
        DataError: no task that can be probed.
    """
    groups = group_features(features)
    evaluation = _Evaluation(out, settings or SemanticsSettings(), show_progress)
    results = evaluation.run(find_tasks(tasks), groups)
    write_json(out / "results.json", results)
    write_text(out / "results.csv", results_csv(results))
    write_text(out / "report.md", markdown(results))
    return results


class _Evaluation:
    """Scores and failures of one run, as they come."""

    def __init__(self, out: Path, settings: SemanticsSettings, show_progress: bool) -> None:
        self.cache = out / "cache"
        self.settings = settings
        self.show_progress = show_progress
        self.scores: list[Json] = []
        self.clusters: list[Json] = []
        self.failures: list[Json] = []

    def run(self, folders: Sequence[Path], groups: Sequence[Sequence[FeatureSpec]]) -> Json:
        tasks = self._open_tasks(folders)
        for specs in groups:
            self._run_group(specs, tasks)
        return {
            "format": FORMAT,
            "kind": SEMANTICS,
            **provenance("scikit-learn"),
            "settings": {"probe": asdict(self.settings.probe), "limit": self.settings.limit},
            "tasks": [_describe_task(task) for task in tasks],
            "scores": self.scores,
            "clusters": self.clusters,
            "failures": self.failures,
        }

    def _open_tasks(self, folders: Sequence[Path]) -> list[Task]:
        chosen = self.settings.test_folds
        names = [folder.resolve().name for folder in folders]
        for name in chosen:
            if name not in names:
                raise ConfigError(
                    f"test folds are given for '{name}', but the tasks are {', '.join(names)}"
                )
        tasks = []
        for folder, name in zip(folders, names):
            try:
                task = open_task(folder, test_folds=chosen.get(name), limit=self.settings.limit)
                rounds(task)
            except DataError as error:
                self.failures.append({"task": name, "error": str(error)})
            else:
                tasks.append(task)
        if not tasks:
            raise DataError(self.failures[0]["error"])
        return tasks

    def _run_group(self, specs: Sequence[FeatureSpec], tasks: Sequence[Task]) -> None:
        try:
            embedder = open_embedder(specs, self.settings.device)
        except SemantiCodecError as error:
            self.failures += [{"features": spec.name, "error": str(error)} for spec in specs]
            return
        folder = self.cache / "embeddings"
        for task in tasks:
            embedded = embed_task(task, embedder, folder, show_progress=self.show_progress)
            self.failures += [
                {"features": features.name, "task": task.name, "clip": clip, "error": error}
                for clip, error in embedded.failures.items()
                for features in embedder.features
            ]
            remaining = replace(task, clips=embedded.clips)
            for features in ProgressBar(
                embedder.features,
                label=f"{task.name}: probe",
                unit="probe",
                shown=self.show_progress,
                has_summary=False,
            ):
                try:
                    self._measure(remaining, features, embedded.vectors.get(features.name))
                except DataError as error:
                    self.failures.append(
                        {"features": features.name, "task": task.name, "error": str(error)}
                    )

    def _measure(
        self, task: Task, features: Features, vectors: Float[Tensor, "N D"] | None
    ) -> None:
        if vectors is None:
            raise DataError("no clip could be embedded")
        if CLUSTERS in self.settings.measures:
            self._cluster(task, features, vectors)
        if PROBE in self.settings.measures:
            self._score(task, features, vectors)

    def _cluster(self, task: Task, features: Features, vectors: Float[Tensor, "N D"]) -> None:
        """Cluster the clips that are tested: of those that a model may know, none."""
        if task.is_multilabel:
            raise DataError("clips with several labels belong to no single cluster")
        tested = sorted({clip for one in rounds(task) for clip in one.test})
        classes = torch.tensor([task.clips[clip].labels[0] for clip in tested])
        self.clusters.append(
            {
                "features": features.name,
                "details": dict(features.details),
                "bits_per_second": features.bits_per_second,
                "task": task.name,
                "num_clips": len(tested),
                "num_classes": len(classes.unique()),
                **asdict(cluster(vectors[tested], classes)),
            }
        )

    def _score(self, task: Task, features: Features, vectors: Float[Tensor, "N D"]) -> None:
        runs = self._runs(task, vectors)
        scores = [run.score for run in runs]
        self.scores.append(
            {
                "features": features.name,
                "details": dict(features.details),
                "bits_per_second": features.bits_per_second,
                "task": task.name,
                "metric": task.metric,
                "mean": statistics.fmean(scores),
                "std": statistics.stdev(scores) if len(scores) > 1 else 0.0,
                "runs": scores,
                "probes": [asdict(run) for run in runs],
            }
        )

    def _runs(self, task: Task, vectors: Float[Tensor, "N D"]) -> list[ProbeRun]:
        """Return the probe's runs, from the cache if everything that they depend on is there."""
        targets, parts = _targets(task), rounds(task)
        plan = [task.metric, asdict(self.settings.probe), [asdict(part) for part in parts]]
        arrays = [_digest(vectors), _digest(targets)]
        name = f"{json_digest([*arrays, plan])[:24]}.json"
        path = self.cache / "scores" / task.name / name
        kept = _read_runs(path)
        if kept is not None:
            return kept
        runs = probe(
            vectors,
            targets,
            parts,
            metric=task.metric,
            is_multilabel=task.is_multilabel,
            settings=self.settings.probe,
        )
        if not all(math.isfinite(run.score + run.valid_score) for run in runs):
            raise DataError("a validation or test part has no labels, so nothing can be scored")
        write_json(path, {"runs": [asdict(run) for run in runs]})
        return runs


def _read_runs(path: Path) -> list[ProbeRun] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [ProbeRun(**run) for run in content["runs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(array: Tensor) -> str:
    return hashlib.sha256(array.numpy().tobytes()).hexdigest()


def _targets(task: Task) -> Float[Tensor, "N classes"]:
    targets = torch.zeros(len(task.clips), len(task.classes))
    for row, clip in enumerate(task.clips):
        targets[row, list(clip.labels)] = 1
    return targets


def _describe_task(task: Task) -> Json:
    parts = rounds(task)
    described: Json = {
        "name": task.name,
        "metric": task.metric,
        "num_classes": len(task.classes),
        "num_clips": len(task.clips),
        "rounds": [
            {"name": one.name, **{part: len(getattr(one, part)) for part in SPLITS}}
            for one in parts
        ],
        "problems": list(task.problems),
    }
    counts = Counter(clip.part for clip in task.clips)
    if task.folds:
        described["folds"] = {fold: counts[fold] for fold in task.folds}
        described["test_folds"] = list(task.test_folds)
    else:
        described["splits"] = dict(counts)
    if task.metric == ACCURACY:
        described["majority"] = majority_score(_targets(task), parts)
    return described

"""Labeled sets for the probe: HEAR's task folders, and folders with one labels.csv.

    HEAR      task_metadata.json  labelvocabulary.csv  train.json valid.json test.json, or
              fold00.json fold01.json ...   {rate}/{split or fold}/*.wav
    labels    labels.csv with the columns path, label (or target), and fold or split

A set with folds tests every fold once, as HEAR does: the fold after it is the validation part and
the others are for training. A set with splits is tested once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semanticodec.errors import ConfigError, DataError
from semanticodec.token_format import SAMPLE_RATE

ACCURACY, MAP = "accuracy", "mAP"
# HEAR's names of the scores that the probe can compute.
HEAR_METRICS = {"top1_acc": ACCURACY, "pitch_acc": ACCURACY, "mAP": MAP}
SPLITS = ("train", "valid", "test")
VALID_SHARE = 5  # one clip in so many of each class, where a set has no validation part
ALL_FOLDS = ("all",)
# The built-in model has heard sounds of the other three folds of ESC-50 (without their labels).
UNHEARD_FOLDS = {"esc": ("4", "5"), "esc50": ("fold03", "fold04")}
LABELS_NAME, METADATA_NAME = "labels.csv", "task_metadata.json"


@dataclass(frozen=True, kw_only=True)
class LabeledClip:
    """A sound file, the indices of its classes, and the fold or split that it belongs to."""

    name: str
    path: Path
    labels: tuple[int, ...]
    part: str


@dataclass(frozen=True, kw_only=True)
class Round:
    """One training and test of the probe: indices into the task's clips."""

    name: str
    train: tuple[int, ...]
    valid: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A labeled set.

    Attributes:
        name: name of the folder.
        classes: names of the labels.
        is_multilabel: whether a clip may have several labels.
        metric: "accuracy" or "mAP".
        clips: files that are there.
        problems: files that are missing, and the like.
        folds: names of the folds in order; empty for a set with splits.
        test_folds: folds that are tested.
    """

    name: str
    classes: tuple[str, ...]
    is_multilabel: bool
    metric: str
    clips: tuple[LabeledClip, ...]
    problems: tuple[str, ...]
    folds: tuple[str, ...]
    test_folds: tuple[str, ...] = ()


def find_tasks(paths: Iterable[Path]) -> list[Path]:
    """Return the task folders among `paths` and directly below them, in order of their names.

    Raises:
        DataError: a path without any task, or two tasks of one name.
    """
    found: list[Path] = []
    for path in paths:
        candidates = [path, *sorted(path.iterdir())] if path.is_dir() else []
        tasks = [folder for folder in candidates if _is_task(folder)]
        if not tasks:
            raise DataError(
                f"{path} holds no task; give a folder with {LABELS_NAME} or {METADATA_NAME}, "
                "or a folder of such folders"
            )
        found += tasks
    names = [folder.resolve().name for folder in found]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"two tasks are called {name}; rename one of the folders")
    return found


def _is_task(folder: Path) -> bool:
    return (folder / LABELS_NAME).is_file() or (folder / METADATA_NAME).is_file()


def open_task(
    folder: Path, *, test_folds: Sequence[str] | None = None, limit: int | None = None
) -> Task:
    """Return the task of a folder.

    Args:
        folder: with labels.csv or task_metadata.json.
        test_folds: folds to test on, or "all" alone (None: the task's own choice, usually all).
        limit: at most so many clips of each class in each fold or split.
    Raises:
        DataError: files that are missing or not understood, or a task the probe cannot do.
        ConfigError: a test fold that the task does not have.
    """
    task = _read_hear(folder) if (folder / METADATA_NAME).is_file() else _read_labels(folder)
    if not task.clips:
        problem = task.problems[0] if task.problems else "its lists are empty"
        raise DataError(f"task {task.name} has no sound files; {problem}")
    if limit is not None:
        task = replace(task, clips=_limited(task.clips, limit))
    return replace(task, test_folds=_chosen_folds(task, test_folds))


def rounds(task: Task) -> list[Round]:
    """Return the rounds of a task: one per tested fold, or a single one.

    Raises:
        DataError: no clips for training, validation or test.
    """
    made = [_fold_round(task, fold) for fold in task.test_folds] or [_split_round(task)]
    for one in made:
        for part, indices in zip(SPLITS, (one.train, one.valid, one.test)):
            if not indices:
                raise DataError(
                    f"task {task.name} has no {part} clips in round {one.name}; "
                    "it needs three folds, or the splits train and test with two clips of a class"
                )
    return made


def _frame(clips: Sequence[LabeledClip]) -> pd.DataFrame:
    return pd.DataFrame([vars(clip) for clip in clips])


def _chosen(is_wanted: pd.Series) -> tuple[int, ...]:
    return tuple(map(int, np.flatnonzero(is_wanted)))


def _fold_round(task: Task, test: str) -> Round:
    valid = task.folds[(task.folds.index(test) + 1) % len(task.folds)]
    part = _frame(task.clips)["part"]
    return Round(
        name=test,
        train=_chosen(~part.isin([test, valid])),
        valid=_chosen((part == valid) & (part != test)),
        test=_chosen(part == test),
    )


def _split_round(task: Task) -> Round:
    clips = _frame(task.clips)
    train, valid, test = (clips["part"] == split for split in SPLITS)
    if not valid.any():
        # Every fifth training clip of each class from its second on, in order of names.
        ordered = clips.loc[train].sort_values(by="name", kind="stable")
        groups = "part" if task.is_multilabel else "labels"
        valid |= ordered.groupby(groups).cumcount() % VALID_SHARE == 1
        train &= ~valid
    return Round(name="test", train=_chosen(train), valid=_chosen(valid), test=_chosen(test))


def _limited(clips: Sequence[LabeledClip], limit: int) -> tuple[LabeledClip, ...]:
    kept = _frame(clips).groupby(["part", "labels"]).cumcount() < limit
    return tuple(clips[index] for index in _chosen(kept))


def _chosen_folds(task: Task, wanted: Sequence[str] | None) -> tuple[str, ...]:
    if wanted is not None and tuple(wanted) == ALL_FOLDS:
        return task.folds
    if wanted is None:
        kind = task.name.lower().partition("-")[0]
        own = UNHEARD_FOLDS.get(kind, ())
        return own if own and set(own) <= set(task.folds) else task.folds
    unknown = [fold for fold in wanted if fold not in task.folds]
    if unknown:
        offered = ", ".join(task.folds) or "none: it has splits"
        raise ConfigError(f"task {task.name} has no fold {unknown[0]!r}; its folds are {offered}")
    return tuple(dict.fromkeys(wanted))


# ---------------------------------------------------------------------- folders with labels.csv


def _read_labels(folder: Path) -> Task:
    path = folder / LABELS_NAME
    table = _read_csv(path)
    label_column = _column(path, table, "label", "target")
    part_column = _column(path, table, "fold", "split")
    rows = table[[_column(path, table, "path"), label_column, part_column]]
    classes = _sorted_names(set(rows[label_column]) - {""})
    clips, problems = [], []
    for number, (name, label, part) in enumerate(rows.itertuples(index=False), start=2):
        if not (name and label and part):
            problems.append(f"{LABELS_NAME} line {number} is not complete")
        elif not (folder / name).is_file():
            problems.append(f"{name} is missing")
        else:
            labels = (classes.index(label),)
            clips.append(LabeledClip(name=name, path=folder / name, labels=labels, part=part))
    parts = _sorted_names({clip.part for clip in clips})
    if part_column == "split" and not set(parts) <= set(SPLITS):
        raise DataError(
            f"{path} has the splits {', '.join(parts)}; write {', '.join(SPLITS)}, "
            "or use a column fold"
        )
    return Task(
        name=folder.resolve().name,
        classes=classes,
        is_multilabel=False,
        metric=ACCURACY,
        clips=tuple(clips),
        problems=tuple(problems),
        folds=parts if part_column == "fold" else (),
    )


def _read_csv(path: Path) -> pd.DataFrame:
    """Return a table of texts; what is missing is empty."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False).fillna("")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); restore it") from error


def _column(path: Path, table: pd.DataFrame, *names: str) -> str:
    """Return the first of these names that is a column."""
    for name in names:
        if name in table.columns:
            return name
    columns = ", ".join(table.columns) or "none"
    raise DataError(f"{path} has no column {' or '.join(names)}; its columns are {columns}")


def _sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in order, numbers by their value and before words."""
    numbers = [name for name in names if name.isdecimal()]
    return *sorted(sorted(numbers), key=int), *sorted(set(names) - set(numbers))


# ---------------------------------------------------------------------- HEAR's folders


def _read_hear(folder: Path) -> Task:
    metadata = _json_object(folder / METADATA_NAME)
    name = folder.resolve().name
    kind, embedding = metadata.get("prediction_type"), metadata.get("embedding_type")
    if kind not in ("multiclass", "multilabel") or embedding != "scene":
        raise DataError(
            f"task {name} has prediction_type {kind!r} and embedding_type {embedding!r}; the probe "
            "takes multiclass and multilabel tasks of whole scenes, so leave this one out"
        )
    is_multilabel = kind == "multilabel"
    folds = tuple(sorted(path.stem for path in folder.glob("fold*.json")))
    parts = folds or tuple(part for part in SPLITS if (folder / f"{part}.json").is_file())
    if not parts:
        raise DataError(f"{folder} has neither train.json nor fold00.json; restore them")
    classes = _vocabulary(folder / "labelvocabulary.csv")
    rate_folder = _rate_folder(folder)
    clips, problems = [], []
    for part in parts:
        for file_name, labels in _json_object(folder / f"{part}.json").items():
            path = rate_folder / part / file_name
            problem = _label_problem(labels, classes, is_multilabel)
            if problem or not path.is_file():
                problems.append(f"{part}/{file_name} {problem or 'is missing'}")
                continue
            indices = tuple(sorted(classes.index(label) for label in labels))
            clips.append(
                LabeledClip(name=f"{part}/{file_name}", path=path, labels=indices, part=part)
            )
    return Task(
        name=name,
        classes=classes,
        is_multilabel=is_multilabel,
        metric=MAP if is_multilabel else _hear_metric(metadata),
        clips=tuple(clips),
        problems=tuple(problems),
        folds=folds,
    )


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); restore it") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; is it a file of a HEAR task?")
    return content


def _vocabulary(path: Path) -> tuple[str, ...]:
    table = _read_csv(path)
    index, label = _column(path, table, "idx"), _column(path, table, "label")
    named = dict(zip(table[index], table[label]))
    if set(named) != {str(number) for number in range(len(table))}:
        raise DataError(f"{path} does not number its {len(table)} labels from 0; restore it")
    return tuple(named[str(number)] for number in range(len(table)))


def _rate_folder(folder: Path) -> Path:
    """Return the folder of 16 kHz sounds, else of the next higher rate, else of the highest."""
    rates = sorted(
        int(path.name) for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()
    )
    if not rates:
        raise DataError(f"{folder} has no folder of sounds, such as {SAMPLE_RATE}; unpack the task")
    return folder / str(next((rate for rate in rates if rate >= SAMPLE_RATE), rates[-1]))


def _label_problem(labels: Any, classes: Sequence[str], is_multilabel: bool) -> str:
    """Return what is wrong with the labels of a clip, or nothing."""
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        return "has no list of labels"
    if not is_multilabel and len(labels) != 1:
        return f"has {len(labels)} labels instead of one"
    unknown = [label for label in labels if label not in classes]
    return f"has the label {unknown[0]!r}, which is not in the vocabulary" if unknown else ""


def _hear_metric(metadata: Mapping[str, Any]) -> str:
    """Return the first of the task's scores that the probe computes, else accuracy."""
    names = metadata.get("evaluation")
    known = [name for name in names if name in HEAR_METRICS] if isinstance(names, list) else []
    return HEAR_METRICS[known[0]] if known else ACCURACY

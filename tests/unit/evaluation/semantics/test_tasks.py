"""Task folders: HEAR's and labels.csv, their folds and splits, and what is wrong with them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from semanticodec.errors import ConfigError, DataError
from semanticodec.evaluation.semantics.tasks import Task, find_tasks, open_task, rounds


def write_labels(folder: Path, header: str, rows: list[str], make_files: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    for row in rows if make_files else []:
        (folder / row.split(",")[0]).touch()
    return folder


def write_hear(
    folder: Path,
    parts: dict[str, dict[str, Any]],
    *,
    classes: tuple[str, ...] = ("cat", "dog"),
    rates: tuple[int, ...] = (16000,),
    **metadata: Any,
) -> Path:
    folder.mkdir(parents=True)
    described = {"embedding_type": "scene", "prediction_type": "multiclass", **metadata}
    (folder / "task_metadata.json").write_text(json.dumps(described))
    vocabulary = "".join(f"{index},{label}\n" for index, label in enumerate(classes))
    (folder / "labelvocabulary.csv").write_text("idx,label\n" + vocabulary)
    for part, content in parts.items():
        (folder / f"{part}.json").write_text(json.dumps(content))
        for rate in rates:
            (folder / str(rate) / part).mkdir(parents=True)
            for name in content:
                (folder / str(rate) / part / name).touch()
    return folder


def folds(num_folds: int, per_fold: int = 4) -> list[str]:
    return [
        f"{fold}_{index}.wav,{index % 2},{fold}"
        for fold in range(1, num_folds + 1)
        for index in range(per_fold)
    ]


def names(task: Task, indices: tuple[int, ...]) -> set[str]:
    return {task.clips[index].name for index in indices}


def test_every_fold_is_tested_once_and_parts_never_meet(tmp_path: Path) -> None:
    task = open_task(write_labels(tmp_path / "set", "path,label,fold", folds(5)))
    made = rounds(task)
    assert [one.name for one in made] == ["1", "2", "3", "4", "5"]
    for one in made:
        assert sorted((*one.train, *one.valid, *one.test)) == list(range(20))
        assert {task.clips[index].part for index in one.test} == {one.name}
        following = str(int(one.name) % 5 + 1)
        assert {task.clips[index].part for index in one.valid} == {following}
    tested = [index for one in made for index in one.test]
    assert sorted(tested) == list(range(20))


def test_folds_in_order_of_their_numbers(tmp_path: Path) -> None:
    task = open_task(write_labels(tmp_path / "set", "path,target,fold", folds(11)))
    assert task.folds == tuple(str(number) for number in range(1, 12))
    assert task.classes == ("0", "1")


def test_esc_is_tested_on_the_folds_that_the_model_has_not_heard(tmp_path: Path) -> None:
    folder = write_labels(tmp_path / "esc", "path,target,fold", folds(5))
    assert open_task(folder).test_folds == ("4", "5")
    assert [one.name for one in rounds(open_task(folder))] == ["4", "5"]
    assert open_task(folder, test_folds=("2",)).test_folds == ("2",)
    assert len(open_task(folder, test_folds=("all",)).test_folds) == 5
    parts = {f"fold0{fold}": {f"{fold}.wav": ["cat"]} for fold in range(5)}
    hear = write_hear(tmp_path / "esc50-v2.0.0-full", parts)
    assert open_task(hear).test_folds == ("fold03", "fold04")


def test_given_splits_are_kept(tmp_path: Path) -> None:
    parts = ("train", "valid", "test")
    rows = [f"{part}{n}.wav,{n % 2},{part}" for part in parts for n in range(3)]
    task = open_task(write_labels(tmp_path / "set", "path,label,split", rows))
    (one,) = rounds(task)
    assert names(task, one.valid) == {"valid0.wav", "valid1.wav", "valid2.wav"}
    assert names(task, one.test) == {"test0.wav", "test1.wav", "test2.wav"}
    assert task.folds == ()


def test_a_missing_validation_part_is_cut_from_every_class(tmp_path: Path) -> None:
    rows = [f"train{n:02}.wav,{n % 3},train" for n in range(30)]
    rows += [f"test{n}.wav,{n % 3},test" for n in range(6)]
    task = open_task(write_labels(tmp_path / "set", "path,label,split", rows))
    (one,) = rounds(task)
    assert len(one.valid) == 6 and len(one.train) == 24
    assert sorted(task.clips[index].labels for index in one.valid) == [
        (0,),
        (0,),
        (1,),
        (1,),
        (2,),
        (2,),
    ]
    # The order of the rows decides nothing.
    again = open_task(write_labels(tmp_path / "again", "path,label,split", rows[::-1]))
    assert names(again, rounds(again)[0].valid) == names(task, one.valid)


def test_limit_takes_the_first_of_each_class_and_part(tmp_path: Path) -> None:
    folder = write_labels(tmp_path / "set", "path,label,fold", folds(3, per_fold=8))
    task = open_task(folder, limit=2)
    assert len(task.clips) == 3 * 2 * 2
    assert {clip.name for clip in task.clips if clip.part == "1"} == {
        "1_0.wav",
        "1_1.wav",
        "1_2.wav",
        "1_3.wav",
    }


def test_hear_folders_with_splits(tmp_path: Path) -> None:
    parts = {
        "train": {"a.wav": ["cat"], "b.wav": ["dog"]},
        "valid": {"c.wav": ["dog"]},
        "test": {"d.wav": ["cat"]},
    }
    folder = write_hear(tmp_path / "task", parts, rates=(16000, 48000), evaluation=["top1_acc"])
    task = open_task(folder)
    assert task.classes == ("cat", "dog") and task.metric == "accuracy"
    assert [clip.labels for clip in task.clips] == [(0,), (1,), (1,), (0,)]
    assert task.clips[0].path == folder / "16000" / "train" / "a.wav"
    (one,) = rounds(task)
    assert (len(one.train), len(one.valid), len(one.test)) == (2, 1, 1)


def test_hear_folders_with_folds(tmp_path: Path) -> None:
    parts = {f"fold0{fold}": {f"{fold}.wav": ["cat"]} for fold in range(3)}
    task = open_task(write_hear(tmp_path / "task", parts, evaluation=["mAP", "top1_acc"]))
    assert task.folds == ("fold00", "fold01", "fold02")
    assert task.metric == "mAP"
    assert len(rounds(task)) == 3


@pytest.mark.parametrize(
    ("rates", "chosen"), [((8000, 22050, 48000), 22050), ((48000,), 48000), ((8000,), 8000)]
)
def test_without_16_khz_the_next_rate_is_read(
    tmp_path: Path, rates: tuple[int, ...], chosen: int
) -> None:
    parts = {part: {"a.wav": ["cat"]} for part in ("train", "valid", "test")}
    task = open_task(write_hear(tmp_path / "task", parts, rates=rates))
    assert task.clips[0].path.parts[-3] == str(chosen)


def test_hear_multilabel_tasks(tmp_path: Path) -> None:
    parts = {part: {"a.wav": ["dog", "cat"], "b.wav": []} for part in ("train", "valid", "test")}
    folder = write_hear(tmp_path / "task", parts, prediction_type="multilabel")
    task = open_task(folder)
    assert task.is_multilabel and task.metric == "mAP"
    assert [clip.labels for clip in task.clips[:2]] == [(0, 1), ()]


def test_hear_tasks_of_moments_are_refused(tmp_path: Path) -> None:
    folder = write_hear(
        tmp_path / "dcase", {"train": {}}, embedding_type="event", prediction_type="multilabel"
    )
    with pytest.raises(
        DataError, match="dcase has prediction_type 'multilabel' and embedding_type"
    ):
        open_task(folder)


def test_problems_of_clips_are_named_and_the_others_stay(tmp_path: Path) -> None:
    rows = [*folds(3), "gone.wav,0,1", "half.wav,,1"]
    folder = write_labels(tmp_path / "set", "path,label,fold", rows)
    (folder / "gone.wav").unlink()
    task = open_task(folder)
    assert len(task.clips) == 12
    assert task.problems == ("gone.wav is missing", "labels.csv line 15 is not complete")

    parts = {"train": {"a.wav": ["cat"], "b.wav": ["cow"], "c.wav": ["cat", "dog"], "d.wav": 3}}
    hear = open_task(write_hear(tmp_path / "hear", parts))
    assert [clip.name for clip in hear.clips] == ["train/a.wav"]
    assert hear.problems == (
        "train/b.wav has the label 'cow', which is not in the vocabulary",
        "train/c.wav has 2 labels instead of one",
        "train/d.wav has no list of labels",
    )


def test_find_tasks_below_a_folder(tmp_path: Path) -> None:
    first = write_labels(tmp_path / "a", "path,label,fold", folds(3))
    second = write_hear(tmp_path / "b", {"train": {}})
    (tmp_path / "notes").mkdir()
    assert find_tasks([tmp_path]) == [first, second]
    assert find_tasks([second]) == [second]
    with pytest.raises(DataError, match="two tasks are called a"):
        find_tasks([tmp_path, first])
    with pytest.raises(DataError, match=r"notes holds no task; give a folder with labels.csv"):
        find_tasks([tmp_path / "notes"])
    with pytest.raises(DataError, match="nowhere holds no task"):
        find_tasks([tmp_path / "nowhere"])


def test_wrong_folders_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column fold or split; its columns are path, label"):
        open_task(write_labels(tmp_path / "a", "path,label", ["x.wav,1"]))
    with pytest.raises(DataError, match=r"has the splits dev; write train, valid, test"):
        open_task(write_labels(tmp_path / "b", "path,label,split", ["x.wav,1,dev"]))
    with pytest.raises(DataError, match="task c has no sound files; x.wav is missing"):
        open_task(write_labels(tmp_path / "c", "path,label,fold", ["x.wav,1,1"], make_files=False))
    with pytest.raises(ConfigError, match="task d has no fold '9'; its folds are 1, 2"):
        open_task(write_labels(tmp_path / "d", "path,label,fold", folds(2)), test_folds=["9"])
    with pytest.raises(
        DataError, match="task d has no train clips in round 1; it needs three folds"
    ):
        rounds(open_task(tmp_path / "d"))
    broken = write_hear(tmp_path / "e", {"train": {}})
    (broken / "task_metadata.json").write_text("{")
    with pytest.raises(DataError, match=r"task_metadata.json cannot be read"):
        open_task(broken)
    silent = write_hear(tmp_path / "f", {"train": {"a.wav": ["cat"]}}, rates=())
    with pytest.raises(DataError, match="f has no folder of sounds, such as 16000"):
        open_task(silent)


@pytest.mark.skipif("SEMANTICODEC_DATA" not in os.environ, reason="SEMANTICODEC_DATA is not set")
def test_the_sets_of_this_project_are_read_whole() -> None:
    folder = Path(os.environ["SEMANTICODEC_DATA"]) / "probe"
    tasks = {path.name: open_task(path) for path in find_tasks([folder])}
    assert {name: len(task.classes) for name, task in tasks.items()} == {
        "esc": 50,
        "fsdd": 10,
        "pitch": 88,
        "speaker_count": 11,
    }
    assert not any(task.problems for task in tasks.values())
    assert [one.name for one in rounds(tasks["esc"])] == ["4", "5"]
    assert len(rounds(tasks["fsdd"])) == 6  # one per speaker
    for name in ("pitch", "speaker_count"):
        (one,) = rounds(tasks[name])
        used = {*one.train, *one.valid, *one.test}
        assert len(used) == len(tasks[name].clips)

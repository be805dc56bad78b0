"""A stopped run goes on; rows that were measured in another way are never mixed in."""

import json

import pytest

from semanticodec.errors import ConfigError
from semanticodec.evaluation.journal import Journal

SETTINGS = {"setting": {"metrics": ("mel",)}, "clip": {"a": "1", "b": "2"}, "system": {"x": {}}}


def row(clip, **more):
    return {"system": "x", "clip": clip, "domain": "all", **more}


def changed(section, **values):
    return {**SETTINGS, section: {**SETTINGS[section], **values}}


def test_rows_outlive_the_run(tmp_path):
    first = Journal(tmp_path, SETTINGS)
    assert first.row("x", "a") is None
    first.append(row("a", scores={"mel": 1.5}))
    again = Journal(tmp_path, SETTINGS)
    assert again.row("x", "a") == row("a", scores={"mel": 1.5})
    assert again.row("x", "b") is None


def test_the_later_row_of_a_pair_counts(tmp_path):
    journal = Journal(tmp_path, SETTINGS)
    journal.append(row("a", error="no"))
    journal.append(row("a", scores={}))
    assert Journal(tmp_path, SETTINGS).row("x", "a") == row("a", scores={})


def test_a_line_that_was_cut_off_is_measured_again(tmp_path):
    journal = Journal(tmp_path, SETTINGS)
    journal.append(row("a"))
    journal.append(row("b"))
    lines = tmp_path / "clips.jsonl"
    lines.write_text(lines.read_text()[:-9])
    again = Journal(tmp_path, SETTINGS)
    assert again.row("x", "b") is None
    again.append(row("b", scores={}))
    last = Journal(tmp_path, SETTINGS)
    assert last.row("x", "a") == row("a") and last.row("x", "b") == row("b", scores={})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (changed("setting", metrics=("mel", "stft")), "setting.metrics was"),
        (changed("clip", b="3"), r'clip.b was \["2"\], now \["3"\]'),
        (changed("system", x={"steps": 5}), "system.x was"),
    ],
)
def test_other_settings_need_another_folder(tmp_path, settings, message):
    Journal(tmp_path, SETTINGS).append(row("a"))
    with pytest.raises(ConfigError, match=f"{message}.*give another --output, or --overwrite"):
        Journal(tmp_path, settings)
    # The refusal leaves what is there.
    assert Journal(tmp_path, SETTINGS).row("x", "a") == row("a")
    assert Journal(tmp_path, settings, overwrite=True).row("x", "a") is None
    assert Journal(tmp_path, settings).row("x", "a") is None


def test_clips_and_systems_may_be_added_and_left_out(tmp_path):
    Journal(tmp_path, SETTINGS).append(row("a"))
    smaller = {**SETTINGS, "clip": {"c": "3"}, "system": {"y": {}}}
    Journal(tmp_path, smaller)
    # What the smaller run did not use is still held to be what it was.
    assert Journal(tmp_path, SETTINGS).row("x", "a") == row("a")
    with pytest.raises(ConfigError, match="clip.b was"):
        Journal(tmp_path, changed("clip", b="3"))


def test_rows_of_unknown_origin_are_refused(tmp_path):
    (tmp_path / "clips.jsonl").write_text(json.dumps(row("a")) + "\n")
    with pytest.raises(ConfigError, match=r"has no settings\.json beside it"):
        Journal(tmp_path, SETTINGS)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ConfigError, match="is damaged"):
        Journal(tmp_path, SETTINGS)
    assert Journal(tmp_path, SETTINGS, overwrite=True).row("x", "a") is None

"""A folder is gone on with by the run that it holds, and by no other."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from semanticodec.errors import ConfigError
from semanticodec.runs import (
    Difference,
    check_same_run,
    claim,
    differences,
    locked,
    plain,
    read_claim,
)

REMEDY = "give another --output"


@dataclasses.dataclass
class Inner:
    sizes: tuple[int, ...] = (1, 2)


@dataclasses.dataclass
class Outer:
    inner: Inner = dataclasses.field(default_factory=Inner)
    folder: Path = Path("a/b")


def test_what_json_gives_back_is_the_same_run(tmp_path):
    settings = {"stage": Outer(), "rates": {25: 1.5, 50: None}}
    claim(tmp_path / "run", settings, remedy=REMEDY)
    recorded = read_claim(tmp_path / "run", remedy=REMEDY)
    assert recorded == plain(settings) == json.loads(json.dumps(plain(settings)))
    assert recorded["stage"] == {"inner": {"sizes": [1, 2]}, "folder": "a/b"}
    before = os.stat(tmp_path / "run" / "settings.json")
    claim(tmp_path / "run", settings, remedy=REMEDY)
    assert os.stat(tmp_path / "run" / "settings.json").st_ino == before.st_ino, "written again"


def test_differences_are_named_to_the_last_key():
    recorded = {"stage": {"width": 8, "depth": 2}, "seed": 0, "only here": 1}
    wanted = {"stage": {"width": 8, "depth": 3}, "seed": 0, "only there": 2}
    assert differences(recorded, wanted) == [
        Difference("stage.depth", 2, 3),
        Difference("only here", 1, None),
        Difference("only there", None, 2),
    ]
    assert differences(recorded, wanted, may_grow=True) == [Difference("stage.depth", 2, 3)]


def test_a_missing_key_is_not_the_value_none():
    assert differences({"a": None}, {"a": None}) == []
    assert differences({"a": 1}, {"a": None}) == [Difference("a", 1, None)]
    assert differences({"a": 1}, {"a": None}, may_grow=True) == [Difference("a", 1, None)]
    assert differences({}, {"a": None}) == [Difference("a", None, None)]


def test_another_run_is_refused_with_both_values_and_a_remedy(tmp_path):
    claim(tmp_path, {"metrics": {"mel": 1}}, remedy=REMEDY)
    content = (tmp_path / "settings.json").read_bytes()
    with pytest.raises(ConfigError) as refused:
        claim(tmp_path, {"metrics": {"mel": 2}}, remedy=REMEDY)
    assert str(refused.value) == (
        f"{tmp_path} holds a run of other settings (metrics.mel was 1, now 2); {REMEDY}"
    )
    assert (tmp_path / "settings.json").read_bytes() == content


def test_many_differences_are_counted():
    recorded, wanted = (dict.fromkeys("abcde", number) for number in (1, 2))
    with pytest.raises(ConfigError, match=r"c was 1, now 2; and 2 more\); go"):
        check_same_run("x", recorded, wanted, remedy="go")


def test_a_record_grows_where_it_may(tmp_path):
    claim(tmp_path, {"clips": {"a": 1}}, remedy=REMEDY, may_grow=True)
    claim(tmp_path, {"clips": {"b": 2}, "versions": {}}, remedy=REMEDY, may_grow=True)
    wanted = {"clips": {"a": 1, "b": 2}, "versions": {}}
    assert read_claim(tmp_path, remedy=REMEDY) == wanted
    with pytest.raises(ConfigError, match=r"clips\.a was 1, now 3"):
        claim(tmp_path, {"clips": {"a": 3}}, remedy=REMEDY, may_grow=True)


@pytest.mark.parametrize("text", ["{", "[1]", "\ud800".encode("utf-8", "surrogatepass")])
def test_a_damaged_record_is_no_permission(tmp_path, text):
    (tmp_path / "settings.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r"settings\.json is damaged .*; give another"):
        claim(tmp_path, {}, remedy=REMEDY)


def test_a_lock_lasts_as_long_as_its_block(tmp_path):
    with locked(tmp_path), pytest.raises(ConfigError, match="another run"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass

"""The plan: names, shards of bounded size, and the same shards when it is read."""

import pytest

from semanticodec.corpus.format_names import DEFAULT_FORMAT, FORMAT_NAMES
from semanticodec.corpus.formats import FORMATS
from semanticodec.corpus.item import Place, WorkItem
from semanticodec.corpus.plan import (
    ShardLimits,
    extend_plan,
    read_places,
    read_shard,
    with_ids,
    write_plan,
)
from semanticodec.errors import DataError


def item(*names, **settings):
    return WorkItem(names=names, source=names[0], place=Place("file", f"/{names[0]}"), **settings)


def test_what_is_read_is_what_was_planned(tmp_path):
    items = [
        item(f"a{number}", offset_s=0.5, duration_s=1.5, columns={"n": number, "x": None})
        for number in range(5)
    ]
    items += [WorkItem(names=("t",), source="s::t", place=Place("tar", "/s.tar", (512, 99)))]
    write_plan(tmp_path, items, ShardLimits(recordings=2))
    places = list(read_places(tmp_path))
    assert [(place.shard, place.num_items) for place in places] == [
        ("00000", 2), ("00001", 2), ("00002", 2),
    ]  # fmt: skip
    assert [each for place in places for each in read_shard(tmp_path, place)] == items
    extend_plan(tmp_path, items[3:4], ShardLimits())
    *before, added = read_places(tmp_path)
    assert before == places and added.shard == "00003"
    assert read_shard(tmp_path, added) == items[3:4]


def test_shards_are_bounded_by_size_too(tmp_path):
    sizes = [3, 3, 9, 1, 1]
    items = [item(str(number), num_bytes=size * 10**6) for number, size in enumerate(sizes)]
    write_plan(tmp_path, items, ShardLimits(megabytes=6))
    assert [place.num_items for place in read_places(tmp_path)] == [2, 1, 2]


def test_the_shortest_unique_names():
    items = [item("a", "a.wav"), item("a", "a.mp3"), item("b", "b.wav"), item("b.wav")]
    assert [each.id for each in with_ids(items)] == ["a.wav", "a.mp3", "b", "b.wav"]
    # A longer name that another one has is passed over.
    items = [item("a", "x", "far/a"), item("a", "x", "near/a"), item("x")]
    with pytest.raises(DataError, match="'x' is the name of two recordings"):
        with_ids([item("x"), item("x")])
    assert [each.id for each in with_ids(items)] == ["far/a", "near/a", "x"]


def test_names_that_no_text_holds():
    (found,) = with_ids([item("a\nb\udcff")])
    assert found.id == found.source == "a\\nb\\udcff"
    assert found.place.path == "/a\nb\udcff", "by this one it is opened"


@pytest.mark.parametrize("name", ["", "/a", "a//b", "../a", "a/./b"])
def test_names_that_no_file_has(name):
    with pytest.raises(DataError, match="could be no file's name"):
        with_ids([WorkItem(names=(name,), source="s", place=Place("file", "/s"))])


def test_a_damaged_plan_is_refused(tmp_path):
    write_plan(tmp_path, [item("a")], ShardLimits())
    (place,) = read_places(tmp_path)
    (tmp_path / "plan.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="is damaged"):
        list(read_places(tmp_path))
    write_plan(tmp_path, [item("a")], ShardLimits())
    with pytest.raises(DataError, match="has changed"):
        read_shard(tmp_path, place._replace(shard="00001"))


def test_the_command_line_knows_every_format():
    assert tuple(FORMATS) == FORMAT_NAMES
    assert DEFAULT_FORMAT in FORMATS

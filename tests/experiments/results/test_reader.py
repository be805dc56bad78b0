"""Results files are read with their kind, in one order, and refused by name."""

import json

import pytest

from experiments.results.reader import complete, of_kind, read_result, read_results
from fake_results import code_use, guidance_steps, reconstruction, semantics, system, write
from semanticodec.errors import DataError


@pytest.fixture
def paths(tmp_path):
    return write(
        tmp_path,
        use=code_use(),
        steps=guidance_steps(),
        zoo=reconstruction(system("a", visqol=3)),
        ant=reconstruction(system("a", visqol=3)),
        probe=semantics(a=(1, 2)),
    )


def test_the_order_of_the_arguments_does_not_matter(paths):
    results = read_results(paths)
    assert [result.name for result in results] == ["ant", "zoo", "probe", "steps", "use"]
    assert [result.name for result in read_results(paths[::-1])] == [r.name for r in results]
    assert [result.name for result in of_kind(results, "reconstruction")] == ["ant", "zoo"]


def test_a_file_given_twice_counts_once(paths):
    assert len(read_results([paths[0], paths[0]])) == 1


def test_results_json_is_called_as_its_folder(tmp_path):
    (tmp_path / "guidance").mkdir()
    (path,) = write(tmp_path / "guidance", results=guidance_steps())
    assert read_result(path).name == "guidance"


def test_two_of_one_name_are_refused(paths, tmp_path):
    (tmp_path / "other").mkdir()
    (other,) = write(tmp_path / "other", use=code_use())
    with pytest.raises(DataError, match=r"use\.json and .*use\.json have the same name"):
        read_results([*paths, other])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x.json is not readable JSON"),
        ("[1]", "x.json is of the kind None; results are reconstruction, semantics"),
        ('{"kind": "poem"}', "x.json is of the kind 'poem'"),
        (
            json.dumps({**code_use(), "format": 3}),
            "x.json has format 3, this version reads 1 and 2",
        ),
        (json.dumps({**code_use(), "kind": "semantics"}), "x.json lacks settings, tasks, scores"),
        ('{"kind": "code-use", "format": 1}', "x.json lacks date, machine, versions, model"),
    ],
)
def test_what_is_no_result_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_result(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json does not exist; give a results file"):
        read_result(tmp_path / "gone.json")


def test_damage_inside_is_said_with_the_file(paths):
    result = read_result(paths[0])
    text = r"use\.json is incomplete or damaged \(KeyError\('x'\)\)"
    with pytest.raises(DataError, match=text), complete(result):
        result.content["domains"]["x"]


def test_results_of_the_first_format_have_the_keys_of_today(tmp_path):
    old = semantics(**{"ours:all": (40, 60)}) | {"format": 1}
    for score in old["scores"]:
        score["deviation"] = score.pop("std")
    old["settings"]["recogniser"] = "parrot"
    (path,) = write(tmp_path, old=old)
    content = read_result(path).content
    assert all("std" in score and "deviation" not in score for score in content["scores"])
    assert content["settings"]["models"] == {"wer": "parrot"}

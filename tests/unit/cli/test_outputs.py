"""Every input has one output, which is whole or not there."""

from pathlib import Path

import pytest

from semanticodec.cli.inputs import Input
from semanticodec.cli.outputs import check_free, plan, written_whole
from semanticodec.errors import ConfigError, OutputError


def inputs(*paths):
    return [Input(name=path, path=Path(path), relative=Path(Path(path).name)) for path in paths]


STDIN = Input(name="-", path=None, relative=Path("stdin"))


def targets(items, output, ending=".smtc"):
    return [task.target and str(task.target) for task in plan(items, output, ending)]


def test_results_stand_beside_inputs_or_where_the_user_says(tmp_path):
    assert targets(inputs("x/a.b.wav"), None) == ["x/a.b.smtc"]
    assert targets(inputs("x/a.wav"), None, ".roundtrip.wav") == ["x/a.roundtrip.wav"]
    assert targets(inputs("x/a.wav"), "y.smtc") == ["y.smtc"]
    assert targets(inputs("x/a.wav"), "new/") == ["new/a.smtc"]
    assert targets(inputs("x/a.wav"), str(tmp_path)) == [str(tmp_path / "a.smtc")]
    assert targets(inputs("x/a.wav", "b.wav"), "new") == ["new/a.smtc", "new/b.smtc"]


def test_stdin_goes_to_stdout_unless_told():
    assert targets([STDIN], None) == [None]
    assert targets([STDIN], "a.smtc") == ["a.smtc"]
    assert targets(inputs("a.wav"), "-") == [None]


@pytest.mark.parametrize(
    ("items", "output", "text"),
    [
        (inputs("a.wav", "b.wav"), "-", "would both become -"),
        (inputs("a.smtc"), None, "a.smtc is its own output"),
    ],
)
def test_no_result_replaces_another_or_its_input(items, output, text):
    with pytest.raises(ConfigError, match=text):
        plan(items, output, ".smtc")


def test_an_existing_file_is_replaced_only_on_request(tmp_path):
    target = tmp_path / "a.smtc"
    check_free(target, overwrite=False)
    target.touch()
    check_free(target, overwrite=True)
    with pytest.raises(ConfigError, match="exists already; choose another name"):
        check_free(target, overwrite=False)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "deep" / "a.wav"
    with written_whole(target) as partial:
        partial.write_text("first")
    with pytest.raises(ZeroDivisionError), written_whole(target) as partial:
        partial.write_text("half")
        _ = 1 / 0
    assert target.read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_no_result_takes_the_place_of_an_input_by_another_name(tmp_path):
    original, other = tmp_path / "a.wav", tmp_path / "b.wav"
    original.write_bytes(b"precious")
    other.write_bytes(b"too")
    (tmp_path / "soft.wav").symlink_to(original)
    (tmp_path / "hard.wav").hardlink_to(original)
    for output in ("a.wav", "soft.wav", "hard.wav", "../" + tmp_path.name + "/a.wav"):
        with pytest.raises(ConfigError, match="is its own output; give another name with -o"):
            plan(inputs(str(original)), str(tmp_path / output), ".wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.wav").symlink_to(other)
    with pytest.raises(ConfigError, match=r"b\.wav \(the same file as .*out/a\.wav\) is its own"):
        plan(inputs(str(original), str(other)), str(tmp_path / "out"), ".wav")


def test_an_unset_variable_is_no_folder():
    with pytest.raises(ConfigError, match="-o is empty; give a file, a folder or -"):
        plan(inputs("a.wav"), "", ".smtc")


def test_devices_are_always_free_and_folders_never(tmp_path):
    check_free(Path("/dev/null"), overwrite=False)
    check_free(None, overwrite=False)
    (tmp_path / "a.smtc").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        check_free(tmp_path / "a.smtc", overwrite=True)
    with pytest.raises(OutputError, match="a part of its path is not a folder"):
        check_free(Path("/dev/null/a.smtc"), overwrite=True)

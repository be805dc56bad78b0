"""A picture never takes the place of a recording, however the options are written."""

import numpy as np
import pytest
import soundfile

from semanticodec.cli import main
from semanticodec.cli.roundtrip import with_plot_output

FAST = ("--num-steps", "1", "-q", "--overwrite")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two recordings in the working folder."""
    for name in ("a.wav", "b.wav"):
        wav = np.random.default_rng(len(name)).normal(0, 0.1, 4000)
        soundfile.write(tmp_path / name, wav, 16_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def roundtrip(model, typed):
    return main(["roundtrip", *typed.split(), "--model", str(model), *FAST])


@pytest.mark.parametrize(
    ("typed", "current"),
    [
        ("--plot p.png a.wav", "--plot-output p.png a.wav"),
        ("a.wav --plot p.PNG -q", "a.wav --plot-output p.PNG -q"),
        ("a.wav --plot=p.png", "a.wav --plot-output p.png"),
        ("--plot a.wav b.wav", "--plot a.wav b.wav"),
        ("--plot -o p.png a.wav", "--plot -o p.png a.wav"),
        ("--plot-output p.png a.wav", "--plot-output p.png a.wav"),
        ("-- --plot p.png", "-- --plot p.png"),
    ],
)
def test_only_a_picture_was_ever_the_name_of_one(typed, current, capsys):
    assert with_plot_output(["roundtrip", *typed.split()]) == ["roundtrip", *current.split()]
    told = capsys.readouterr().err
    assert told.count("is now called --plot-output\n") == told.count("\n") == (typed != current)
    assert with_plot_output(["encode", *typed.split()]) == ["encode", *typed.split()]


@pytest.mark.parametrize("typed", ["--plot a.wav b.wav -o out/", "a.wav b.wav --plot -o out/"])
def test_recordings_behind_plot_are_recordings(typed, folder, tiny_folder):
    before = {path.name: path.read_bytes() for path in folder.glob("*.wav")}
    assert roundtrip(tiny_folder, typed) == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.wav")} == before
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["a.png", "a.wav", "b.png", "b.wav"]
    assert (folder / "out" / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("a.wav -o o.wav --plot-output b.wav", "b.wav has no suffix .png"),
        ("a.wav -o o.wav --plot-output link.png", "is its own output"),
        ("a.wav b.wav -o out/ --plot-output p.png", "one picture p.png for 2 inputs; say --plot"),
        ("a.wav -o o.png --format wav --plot", "name of the picture and of a sound file"),
        ("a.wav -o - --plot", "say --plot-output PNG"),
    ],
)
def test_other_places_for_a_picture_are_refused(typed, text, folder, tiny_folder, capsys):
    (folder / "link.png").symlink_to("a.wav")
    before = sorted(path.name for path in folder.iterdir()), (folder / "a.wav").read_bytes()
    assert roundtrip(tiny_folder, typed) == 2
    assert text in capsys.readouterr().err
    after = sorted(path.name for path in folder.iterdir()), (folder / "a.wav").read_bytes()
    assert before == after


def test_an_existing_picture_is_skipped_with_the_rest(folder, tiny_folder, capsys):
    (folder / "o.png").write_bytes(b"old")
    words = ["roundtrip", "a.wav", "-o", "o.wav", "--plot", "--model", str(tiny_folder), "--json"]
    assert main([*words, "--num-steps", "1"]) == 2
    assert "o.png exists already" in capsys.readouterr().err
    (folder / "o.wav").unlink(missing_ok=True)
    assert main([*words, "--num-steps", "1", "--skip-existing"]) == 0
    assert (folder / "o.png").read_bytes() == b"old" and (folder / "o.wav").exists()

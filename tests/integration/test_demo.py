"""`make demo`: its recordings are what they should be, and its script leaves all it promises."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from semanticodec import Codes
from semanticodec.checkpoints import pretrained

DEMO = Path(__file__).resolve().parents[2] / "demo"
EXAMPLES = sorted((DEMO / "examples").glob("*.flac"))


def run_demo(*words):
    """Run the script as `make demo` does and return its exit status."""
    sys.argv = ["demo.py", *map(str, words)]
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(DEMO / "demo.py"), run_name="__main__")
    return stop.value.code


@pytest.fixture(autouse=True)
def tiny_default(tiny_folder, monkeypatch):
    monkeypatch.setattr(pretrained, "DEFAULT_MODEL", tiny_folder)
    monkeypatch.setattr(sys, "argv", sys.argv)


def test_speech_music_and_sound_are_there():
    assert [path.stem for path in EXAMPLES] == ["music", "sound", "speech"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short_clean_and_not_silent(path):
    wav, sample_rate = soundfile.read(path)
    assert sample_rate == 16_000
    assert wav.ndim == 1
    assert 5 < len(wav) / sample_rate <= 10
    assert 0.5 < np.abs(wav).max() < 0.99
    spectrum = np.abs(np.fft.rfft(wav)) ** 2
    edge = len(spectrum) * 2 // 8  # 2 kHz
    assert spectrum[:100].sum() < 0.1 * spectrum.sum()  # no offset, no hum below 10 Hz
    assert spectrum[edge:].sum() > 1e-3 * spectrum.sum()  # not only bass


def test_demo_leaves_codes_sound_and_picture(tmp_path, capsys):
    assert run_demo(DEMO / "examples" / "speech.flac", "--output", tmp_path) == 0
    out = capsys.readouterr().out
    codes = Codes.load(tmp_path / "speech.smtc")
    num_bytes = (tmp_path / "speech.smtc").stat().st_size
    assert f"8.31 s -> {2 * codes.num_positions[0]} tokens -> {num_bytes} bytes" in out
    original = soundfile.info(DEMO / "examples" / "speech.flac")
    assert soundfile.info(tmp_path / "speech.decoded.wav").frames == original.frames
    assert (tmp_path / "speech.png").read_bytes().startswith(b"\x89PNG")


def test_demo_explains_a_wrong_input(tmp_path, capsys):
    assert run_demo(tmp_path / "nothing.wav", "--output", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith("demo: error: ")


def test_demo_keeps_recordings_of_one_name_apart(tmp_path, capsys):
    wav = 0.1 * np.random.default_rng(0).standard_normal(8000)
    for name in ("in/a/x.wav", "in/b/x.wav", "in/b/x.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, wav, 16_000)
    (tmp_path / "in" / "text.wav").write_text("no sound")
    output = tmp_path / "in" / "out"
    for _ in range(2):  # a second run takes no results for recordings
        assert run_demo(tmp_path / "in", "--output", output) == 2
        captured = capsys.readouterr()
        assert "text.wav is not readable audio" in captured.err
        assert captured.out.count("encoded in") == 3
        stored = sorted(str(path.relative_to(output)) for path in output.rglob("*.smtc"))
        assert stored == ["a/x.smtc", "b/x.flac.smtc", "b/x.wav.smtc"]
        assert len(list(output.rglob("*.decoded.wav"))) == len(list(output.rglob("*.png"))) == 3

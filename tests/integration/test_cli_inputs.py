"""Inputs as a shell and other programs hand them over: pipes, odd names, folders full of things."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from semanticodec import Codes, SemantiCodec, progress
from semanticodec.cli import main
from sound_bytes import encoded, flac_without_length, mp3, tone, wav

FAST = ("--num-steps", "1", "--threads", "1")
ODD_NAMES = [
    b"caf\xe9.wav",
    b"line\nbreak.wav",
    b"a[1].wav",
    b"$x_{1$ 100%.wav",
    b"dots..wav",
    "größe 音.wav".encode(),
    b"n" * 250 + b".wav",
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def run(capfd, *words):
    capfd.readouterr()
    status = main([os.fsdecode(word) if isinstance(word, bytes) else str(word) for word in words])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def stored(path):
    return Codes.load(path).acoustic.numpy()


def test_names_of_any_bytes_go_through_a_folder(folder, tiny_folder, tmp_path, capfd):
    for name in ODD_NAMES:
        write(bytes(folder) + b"/" + name, wav())
    options = ("--model", tiny_folder)
    status, out, err = run(capfd, "encode", folder, "-o", tmp_path / "out", "--json", *options)
    assert (status, err) == (0, "")
    reports = [json.loads(line) for line in out.splitlines()]
    inputs = {os.fsencode(report["input"]) for report in reports if "input" in report}
    assert inputs == {bytes(folder) + b"/" + name for name in ODD_NAMES}
    made = sorted(os.listdir(bytes(tmp_path / "out")))
    assert made == sorted(name[:-4] + b".smtc" for name in ODD_NAMES)
    decoded = ("decode", tmp_path / "out", "-o", tmp_path / "back", *FAST)
    assert run(capfd, *decoded, *options)[0] == 0
    assert sorted(os.listdir(bytes(tmp_path / "back"))) == sorted(ODD_NAMES)


@pytest.mark.parametrize("name", ODD_NAMES[:4])
def test_a_name_of_any_bytes_can_be_drawn(name, folder, tiny_folder, tmp_path, capfd):
    write(bytes(folder) + b"/" + name, wav())
    words = ("roundtrip", bytes(folder) + b"/" + name, "--plot", "--model", tiny_folder)
    status, _, err = run(capfd, *words, *FAST)
    assert (status, err) == (0, "")


def test_files_that_fail_stop_no_others(folder, tiny_folder, tmp_path, capfd):
    write(folder / "good.wav", wav())
    write(folder / "empty.wav", b"")
    write(folder / "short.wav", wav(samples=np.zeros(10, dtype=np.float32)))
    write(folder / "text.wav", b"no sound")
    (folder / "gone.wav").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.wav")
    status, _, err = run(
        capfd, "encode", folder, "-o", tmp_path / "out", "--model", tiny_folder, "-q"
    )
    assert status == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.smtc"]
    for text in ("empty.wav is empty", "gone.wav does not exist", "short.wav", "text.wav is not"):
        assert text in err
    assert err.count("\n") == 4


def test_every_way_to_hand_over_a_file_gives_the_same_codes(
    folder, tiny_folder, tmp_path, capfd, monkeypatch
):
    path, pipe, options = folder / "sound.mp3", folder / "pipe", ("--model", tiny_folder, "-q")
    data = bytes(3000) + mp3()
    write(path, data)
    os.mkfifo(pipe)
    assert run(capfd, "encode", path, "-o", tmp_path / "path.smtc", *options)[0] == 0
    expected = stored(tmp_path / "path.smtc")

    writer = threading.Thread(target=write, args=(pipe, data))
    writer.start()
    assert run(capfd, "encode", pipe, "-o", tmp_path / "pipe.smtc", *options)[0] == 0
    writer.join()
    assert np.array_equal(stored(tmp_path / "pipe.smtc"), expected)

    words = [sys.executable, "-m", "semanticodec", "encode", "/dev/stdin", "-o", "-"]
    made = subprocess.run([*words, *map(str, options)], input=data, capture_output=True, timeout=99)
    assert made.returncode == 0, made.stderr
    assert made.stdout == (tmp_path / "path.smtc").read_bytes()

    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    assert run(capfd, "encode", path, "-o", tmp_path / "watched.smtc", *options)[0] == 0
    assert np.array_equal(stored(tmp_path / "watched.smtc"), expected)

    codec = SemantiCodec.from_pretrained(tiny_folder)
    with path.open("rb") as file:
        for source in (path, str(path), data, file):
            assert np.array_equal(codec.encode(source).acoustic.numpy(), expected)


def test_a_second_run_does_the_same_as_the_first(folder, tiny_folder, capfd):
    write(folder / "a.wav", wav())
    write(folder / "b.flac", encoded("FLAC"))
    words = ("--model", tiny_folder, "-q", *FAST, "--overwrite")
    for output in ((), ("-o", folder / "out")):
        assert run(capfd, "roundtrip", folder, *output, *words)[0] == 0
        made = sorted(folder.rglob("*"))
        assert run(capfd, "roundtrip", folder, *output, *words)[0] == 0
        assert sorted(folder.rglob("*")) == made


def test_a_recording_of_unknown_length_is_drawn_too(folder, tiny_folder, capfd):
    write(folder / "live.flac", flac_without_length(tone(2.0)))
    words = ("--model", tiny_folder, "--plot", *FAST)
    status, _, err = run(capfd, "roundtrip", folder / "live.flac", *words)
    assert (status, err) == (0, "")
    assert soundfile.info(folder / "live.roundtrip.wav").frames == 32_000
    assert (folder / "live.roundtrip.png").exists()

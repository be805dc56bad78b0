"""The commands as users type them: files, folders and pipes, exit status and error texts."""

import io
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from semanticodec import Codes
from semanticodec.checkpoints.pretrained import write_model
from semanticodec.cli import main

FAST = ("--num-steps", "1", "--threads", "1")


def command(*words, **options):
    """Run the real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "semanticodec", *map(str, words)],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=200,
        **options,
    )


def noise(seconds, sample_rate, channels=1):
    rng = np.random.default_rng(7)
    return rng.normal(0, 0.1, (int(seconds * sample_rate), channels))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Three recordings at two levels, and a text file that claims to be a fourth."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "inner").mkdir()
    soundfile.write(folder / "one.wav", noise(1.0, 16_000), 16_000)
    soundfile.write(folder / "two.flac", noise(0.7, 44_100, channels=2), 44_100)
    soundfile.write(folder / "inner" / "three.mp3", noise(0.5, 24_000), 24_000)
    (folder / "text.wav").write_text("this is not audio\n")
    (folder / "notes.txt").write_text("nobody encodes this\n")
    return folder


@pytest.fixture(scope="module")
def stored(recordings, tiny_folder, tmp_path_factory):
    """`one.wav` as `.smtc`."""
    target = tmp_path_factory.mktemp("stored") / "one.smtc"
    words = ["encode", recordings / "one.wav", "-o", target, "--model", tiny_folder, "-q"]
    assert main([str(word) for word in words]) == 0
    return target


def run(capfd, *words):
    """Run a command in this process; return its status, stdout and stderr."""
    capfd.readouterr()
    status = main([str(word) for word in words])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


# --- the real process ---


def test_a_folder_there_and_back(recordings, tiny_folder, tmp_path):
    codes, sounds = tmp_path / "codes", tmp_path / "sounds"
    encoded = command("encode", recordings, "-o", codes, "--model", tiny_folder, "--json")
    # The text file is reported in one line, the others are encoded.
    assert encoded.returncode == 2
    assert encoded.stderr.decode().count("\n") == 1
    assert "text.wav" in encoded.stderr.decode()
    reports = [json.loads(line) for line in encoded.stdout.splitlines()]
    (failed,) = [report for report in reports if report["status"] == "failed"]
    assert os.path.basename(failed["input"]) == "text.wav" and "not readable" in failed["error"]
    reports = [report for report in reports if report["status"] == "done"]
    assert [report["seconds"] for report in reports] == pytest.approx([0.5, 1.0, 0.7], abs=0.08)
    for report in reports:
        assert report["bytes"] == os.path.getsize(report["output"])
        assert report["kbps"] == pytest.approx(report["bytes"] * 8e-3 / report["seconds"], rel=1e-3)
    stored = sorted(str(path.relative_to(codes)) for path in codes.rglob("*.*"))
    assert stored == ["inner/three.smtc", "one.smtc", "two.smtc"]

    decoded = command("decode", codes, "-o", sounds, "--model", tiny_folder, "-q", *FAST)
    assert (decoded.returncode, decoded.stdout, decoded.stderr) == (0, b"", b"")
    for report in reports:
        name = os.path.relpath(report["output"], codes).replace(".smtc", ".wav")
        sound = soundfile.info(sounds / name)
        assert (sound.samplerate, sound.channels, sound.subtype) == (16_000, 1, "PCM_16")
        assert sound.frames == round(report["seconds"] * 16_000)


def test_pipes_give_what_files_give(recordings, stored, tiny_folder, tmp_path):
    audio = (recordings / "one.wav").read_bytes()
    encoded = command("encode", "-", "--model", tiny_folder, "-q", input=audio)
    assert encoded.returncode == 0, encoded.stderr
    assert encoded.stdout == stored.read_bytes()

    words = ("--model", tiny_folder, "-q", "--seed", "3", *FAST)
    piped = command("decode", "-", *words, input=encoded.stdout)
    assert piped.returncode == 0, piped.stderr
    target = tmp_path / "one.wav"
    assert command("decode", stored, "-o", target, *words).returncode == 0
    from_pipe, _ = soundfile.read(io.BytesIO(piped.stdout), dtype="int16")
    from_file, _ = soundfile.read(target, dtype="int16")
    assert len(from_pipe) == 16_000
    assert np.array_equal(from_pipe, from_file)


def test_a_reader_that_leaves_is_no_error(stored, tmp_path):
    for number in range(500):  # more text than a pipe holds
        (tmp_path / f"{number}.smtc").write_bytes(stored.read_bytes())
    words = [sys.executable, "-m", "semanticodec", "info", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_info_and_help_need_no_torch(stored, tiny_folder):
    program = (
        "import sys; from semanticodec.cli import build_parser, main\n"
        f"build_parser().format_help(); main(['info', {str(stored)!r}, {str(tiny_folder)!r}])\n"
        "assert not {'torch', 'soundfile', 'matplotlib'} & set(sys.modules)"
    )
    started = time.perf_counter()
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert finished.returncode == 0, finished.stderr
    assert time.perf_counter() - started < 5  # 0.2 s on an idle machine


# --- options ---


def test_existing_files_stay_unless_told(recordings, tiny_folder, tmp_path, capfd):
    target = tmp_path / "one.smtc"
    target.write_text("precious")
    words = ("encode", recordings / "one.wav", "-o", target, "--model", tiny_folder)
    status, out, err = run(capfd, *words)
    assert (status, out) == (2, "")
    assert "exists already" in err
    assert "--overwrite" in err
    assert run(capfd, *words, "--skip-existing") == (0, "", "")
    assert target.read_text() == "precious"
    status, out, err = run(capfd, *words, "--overwrite")
    assert (status, err) == (0, "")
    assert "1.00 s, 112 tokens" in out
    assert Codes.load(target).num_samples == (16_000,)


def test_formats_and_seeds(stored, tiny_folder, tmp_path, capfd):
    words = ("decode", stored, "--model", tiny_folder, "-q", *FAST)
    for name, more in (("a.flac", ()), ("b.wav", ()), ("c.wav", ("--seed", "1"))):
        assert run(capfd, *words, "-o", tmp_path / name, *more) == (0, "", "")
    flac, wav, other = (
        soundfile.read(tmp_path / name, dtype="int16")[0] for name in ("a.flac", "b.wav", "c.wav")
    )
    assert soundfile.info(tmp_path / "a.flac").format == "FLAC"
    assert np.array_equal(flac, wav)
    assert not np.array_equal(wav, other)


@pytest.mark.usefixtures("unchecked_shapes")
def test_another_runtime_gives_the_same_sound(stored, tiny_folder, tmp_path, capfd):
    pytest.importorskip("onnxruntime")
    words = ("decode", stored, "--model", tiny_folder, *FAST)
    for runtime in ("torch", "onnx"):
        target = tmp_path / f"{runtime}.wav"
        assert run(capfd, *words, "-o", target, "--runtime", runtime)[0] == 0
    torch_wav, onnx_wav = (
        soundfile.read(tmp_path / f"{runtime}.wav", dtype="int16")[0].astype(int)
        for runtime in ("torch", "onnx")
    )
    assert abs(torch_wav - onnx_wav).max() <= 2 and torch_wav.any()
    target = tmp_path / "half.wav"
    options = ("-o", target, "--runtime", "onnx", "--dtype", "bfloat16")
    status, _, err = run(capfd, *words, *options)
    assert status == 2 and "on the CPU in float32, not on cpu in bfloat16" in err


def test_roundtrip_is_encode_and_decode(recordings, stored, tiny_folder, tmp_path, capfd):
    words = ("--model", tiny_folder, *FAST)
    target = tmp_path / "out.wav"
    picture = tmp_path / "picture.png"
    status, out, err = run(
        capfd,
        "roundtrip",
        recordings / "one.wav",
        "-o",
        target,
        "--plot-output",
        picture,
        "--json",
        *words,
    )
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["bytes"] == stored.stat().st_size
    assert report["plot"] == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    run(capfd, "decode", stored, "-o", tmp_path / "decoded.wav", *words)
    assert target.read_bytes() == (tmp_path / "decoded.wav").read_bytes()


def test_a_damaged_file_is_concealed_on_request(stored, tiny_folder, tmp_path, capfd):
    damaged = tmp_path / "damaged.smtc"
    damaged.write_bytes(stored.read_bytes()[:-9] + b"wrong" + stored.read_bytes()[-4:])
    words = ("decode", damaged, "--model", tiny_folder, "-q", *FAST)
    status, _, err = run(capfd, *words)
    assert status == 2
    assert "does not match" in err
    status, _, err = run(capfd, *words, "--conceal")
    assert status == 0
    assert (
        err
        == f"semanticodec: warning: {damaged}: 56 of 56 positions were damaged and are concealed\n"
    )
    assert soundfile.info(tmp_path / "damaged.wav").frames == 16_000


def test_info_tells_what_the_file_says(stored, capfd):
    status, out, err = run(capfd, "info", stored, "--json")
    assert (status, err) == (0, "")
    facts = json.loads(out)
    codes = Codes.load(stored)
    assert facts["num_samples"] == 16_000
    assert facts["positions"] == codes.num_positions[0] == 56
    assert facts["semantic_vocab_size"] == codes.semantic_vocab_size
    assert facts["fingerprint"] == codes.fingerprint.hex()
    assert facts["bytes"] == stored.stat().st_size
    assert (facts["blocks"], facts["damaged_blocks"], facts["missing_samples"]) == (1, 0, 0)


def test_info_finds_damage_and_cuts(stored, tmp_path, capfd):
    whole = stored.read_bytes()
    (tmp_path / "damaged.smtc").write_bytes(whole[:40] + b"?" + whole[41:])
    status, out, err = run(capfd, "info", tmp_path / "damaged.smtc", "--json")
    assert (status, json.loads(out)["damaged_blocks"]) == (2, 1)
    assert "1 of 1 blocks are damaged" in err
    (tmp_path / "cut.smtc").write_bytes(whole[:29])
    status, out, err = run(capfd, "info", tmp_path / "cut.smtc", stored)
    assert status == 2
    assert err.startswith(f"semanticodec: error: {tmp_path / 'cut.smtc'}: ")
    assert str(stored) in out  # the good one is described all the same


def test_info_of_a_model(tiny_folder, tiny_codec, capfd):
    status, out, _ = run(capfd, "info", tiny_folder, "--json")
    assert status == 0
    (setting,) = json.loads(out)["settings"]
    assert setting["token_rate"] == tiny_codec.token_rate
    assert setting["semantic_vocab_sizes"] == [tiny_codec.semantic_vocab_size]
    assert setting["acoustic_vocab_size"] == tiny_codec.acoustic_vocab_size
    assert setting["num_parameters"] == sum(
        value.numel() for value in tiny_codec.state_dict().values()
    )


# --- mistakes of the user ---

MISTAKES = {
    "missing file": ("encode nowhere.wav", "nowhere.wav does not exist; give a file"),
    "no match": ("encode no*.wav", "no file matches 'no*.wav'"),
    "empty folder": ("encode empty", "the folder empty holds no file of .wav"),
    "not audio": ("encode {audio}/text.wav", "text.wav is not readable audio"),
    "not codes": ("decode {audio}/one.wav -o x.wav", "not a .smtc stream: it starts with b'RIFF'"),
    "wrong suffix": ("decode {codes} -o x.mp3", "x.mp3 has no suffix .wav or .flac"),
    "one file for many": ("encode {audio} -o {codes}", "is a file; several results need a folder"),
    "own output": ("decode {codes} -o {codes}", "is its own output"),
    "no such device": ("encode {audio}/one.wav --device gpu", "'gpu' is not a device; choose cpu"),
    "absent device": ("encode {audio}/one.wav --device cuda:99", "no device 'cuda:99'"),
    "no such rate": ("encode {audio}/one.wav --token-rate 50", "no 50 tokens per second"),
    "no such model": ("encode {audio}/one.wav --model empty", "empty has no config.json"),
    "no model at all": ("encode {audio}/one.wav --model x.pt", "x.pt is no model folder"),
    "stdin twice": ("encode - -", "stdin can be read once only"),
    "no codebook": ("convert --token-rate 50 -o x --encoder a --decoder b", "2 of the three"),
    "no model to tell": ("info empty", "the folder empty holds no file of .smtc"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_one_clear_line(
    name, recordings, stored, tiny_folder, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    typed, expected = MISTAKES[name]
    words = typed.format(audio=recordings, codes=stored).split()
    if words[0] in ("encode", "decode") and "--model" not in words:
        words += ["--model", str(tiny_folder)]
    status, out, err = run(capfd, *words)
    assert (status, out) == (2, "")
    assert err.startswith("semanticodec: error: ")
    assert err.count("\n") == 1
    assert expected in err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", "the following arguments are required: COMMAND; see `semanticodec --help`"),
        ("encode", "are required: INPUT; see `semanticodec encode --help`"),
        ("decode x --num-steps 0", "argument --num-steps: '0' is not a positive whole number"),
        ("convert --token-rate 60 -o x", "argument --token-rate: invalid choice: 60"),
    ],
)
def test_unknown_arguments_get_one_line_too(typed, expected, capfd):
    with pytest.raises(SystemExit) as stop:
        main(typed.split())
    assert stop.value.code == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert expected in err


def test_codes_of_another_model_are_refused(stored, tiny_codec, tmp_path, capfd):
    other = tmp_path / "other"
    state = {key: value + 1 for key, value in tiny_codec.state_dict().items()}
    write_model(other, tiny_codec.config, state)
    status, _, err = run(capfd, "decode", stored, "-o", tmp_path / "x.wav", "--model", other, *FAST)
    assert status == 2
    assert "decode them with the model that made them" in err
    assert not (tmp_path / "x.wav").exists()


def test_interrupted_runs_say_so(stored, monkeypatch, capfd):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("semanticodec.cli.info.describe_stream", interrupt)
    assert run(capfd, "info", stored) == (130, "", "semanticodec: stopped\n")


def test_refined_files_are_as_long_and_keep_their_semantic_codes(recordings, tmp_path, capfd):
    sound = tmp_path / "short.wav"
    soundfile.write(sound, soundfile.read(recordings / "one.wav")[0][:8000], 16_000)
    written = {}
    for name, more in (("nearest", ()), ("refined", ("--refine", 2)), ("again", ("--refine", 2))):
        target = tmp_path / f"{name}.smtc"
        assert run(capfd, "encode", sound, "-o", target, *more)[0] == 0
        written[name] = Codes.load(target)
    nearest, refined = written["nearest"], written["refined"]
    assert refined == written["again"] != nearest
    assert (refined.semantic == nearest.semantic).all()
    assert refined.num_samples == nearest.num_samples
    piped = command("encode", "-", "-o", "-", "--refine", 2, input=sound.read_bytes())
    assert Codes.load(io.BytesIO(piped.stdout)) == refined
    live = command("encode", "-", "--raw-rate", 16_000, "--refine", 2, input=b"")
    assert live.returncode == 2 and b"live sound cannot wait" in live.stderr

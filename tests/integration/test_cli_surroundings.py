"""The real command among full disks, closed streams, signals, locked folders and odd names."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch

from semanticodec import Codes
from semanticodec.cli import main

IS_ROOT = os.geteuid() == 0
POWERS = "-dac_override,-dac_read_search"
WITHOUT_POWERS = ("setpriv", "--bounding-set", POWERS, "--inh-caps", POWERS)
FAST = ("--num-steps", "1", "--threads", "1")
DISK_BYTES = 16_384


def start(*words, prefix=(), environment=None, **options):
    """Start the real command."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "semanticodec", *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def command(*words, **options):
    """Run the real command; return its status, stdout and stderr."""
    process = start(*words, **options)
    out, err = process.communicate(timeout=200)
    return process.returncode, out or b"", (err or b"").decode()


def redirected(redirection):
    """Return what runs a command with a redirection of the shell."""
    return ("sh", "-c", f'exec "$@" {redirection}', "sh")


def names(folder):
    return sorted(os.listdir(folder))


def assert_one_line(err, *texts):
    assert err.count("\n") == 1 and err.startswith("semanticodec: error: "), err
    for text in texts:
        assert text in err


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """One second of noise."""
    path = tmp_path_factory.mktemp("recording") / "a.wav"
    soundfile.write(path, np.random.default_rng(7).normal(0, 0.1, 16_000), 16_000)
    return path


@pytest.fixture(scope="module")
def codes(recording, tiny_folder, tmp_path_factory):
    """The recording as `.smtc`."""
    target = tmp_path_factory.mktemp("codes") / "a.smtc"
    words = ["encode", recording, "-o", target, "--model", tiny_folder, "-q"]
    assert main([str(word) for word in words]) == 0
    return target


@pytest.fixture(scope="module")
def long_codes(codes, tmp_path_factory):
    """Codes that take some seconds to decode."""
    target = tmp_path_factory.mktemp("long") / "long.smtc"
    whole = Codes.load(codes)
    columns = whole.semantic[:, :48].repeat(1, 160), whole.acoustic[:, :48].repeat(1, 160)
    Codes.from_stacked(
        torch.stack(columns, dim=1),
        token_rate=whole.token_rate,
        semantic_vocab_size=whole.semantic_vocab_size,
        acoustic_vocab_size=whole.acoustic_vocab_size,
    ).save(target)
    return target


# --- places that take no file ---


def test_a_locked_folder_is_one_line_for_each_file(recording, codes, tiny_folder, tmp_path):
    prefix = WITHOUT_POWERS if IS_ROOT else ()
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip("permissions do not bind root, and there is no setpriv")
    tmp_path.chmod(0o555)
    for words in (
        ("encode", recording, "-o", tmp_path / "x.smtc"),
        ("decode", codes, "-o", tmp_path / "x.wav", *FAST),
        ("roundtrip", recording, "-o", tmp_path / "new" / "x.flac", *FAST),
        ("export", "-o", tmp_path / "onnx"),
    ):
        status, out, err = command(*words, "--model", tiny_folder, prefix=prefix)
        assert (status, out) == (2, b"")
        assert_one_line(err, str(tmp_path), "cannot be written: there is no permission")
    tmp_path.chmod(0o755)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.smtc"])
def test_a_full_disk_leaves_nothing_behind(recording, codes, tiny_folder, tmp_path, name):
    limit = 64 if name == "x.smtc" else DISK_BYTES
    words = ("encode", recording) if name == "x.smtc" else ("decode", codes, *FAST)
    status, out, err = command(
        *words,
        *("--model", tiny_folder, "-o", tmp_path / name),
        environment={"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert (status, out) == (2, b"")
    assert_one_line(err, f"{tmp_path / name} cannot be written: it grew beyond the file size limit")
    assert names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_report_that_is_lost_stops_no_work(recording, tiny_folder, tmp_path):
    other = shutil.copy(recording, tmp_path / "b.wav")
    words = ("encode", recording, other, "-o", tmp_path / "out", "--model", tiny_folder)
    status, _, err = command(*words, prefix=redirected("> /dev/full"))
    assert status == 2
    assert_one_line(err, "the report on standard output cannot be written: no space is left")
    assert names(tmp_path / "out") == ["a.smtc", "b.smtc"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("command_name", ["encode", "decode"])
def test_a_result_that_is_lost_is_an_error(recording, codes, tiny_folder, command_name):
    words = (recording,) if command_name == "encode" else (codes, *FAST)
    status, _, err = command(
        command_name, *words, "-o", "-", "--model", tiny_folder, prefix=redirected("> /dev/full")
    )
    assert status == 2
    assert_one_line(err, "standard output cannot be written: no space is left on the device")


# --- closed streams ---


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_matter_to_files(
    recording, codes, tiny_folder, tmp_path, redirection
):
    words = ("encode", recording, "-o", tmp_path / "x.smtc", "--model", tiny_folder)
    status, _, err = command(*words, prefix=redirected(redirection))
    assert (status, err) == (0, "")
    assert (tmp_path / "x.smtc").read_bytes() == codes.read_bytes()


def test_closed_streams_that_are_needed_are_named(recording, codes, tiny_folder, tmp_path):
    for words in (
        ("info", codes),
        ("encode", recording, "-o", "-", "--model", tiny_folder),
    ):
        status, _, err = command(*words, prefix=redirected(">&-"))
        assert status == 2
        assert_one_line(err, "standard output is closed; open it, or give a file with -o")
    words = ("encode", "-", "-o", tmp_path / "x.smtc", "--model", tiny_folder)
    status, _, err = command(*words, prefix=redirected("<&-"))
    assert status == 2
    assert_one_line(err, "standard input is closed")
    assert names(tmp_path) == []


def test_a_failure_with_nowhere_to_say_it_has_its_status(tmp_path):
    status, _, _ = command("info", tmp_path / "missing.smtc", prefix=redirected(">&- 2>&-"))
    assert status == 2
    status, _, _ = command("info", "--no-such-option", prefix=redirected("2>&-"))
    assert status == 2


# --- pipes ---


def test_pipes_and_open_files_take_results(codes, tiny_folder, tmp_path):
    pipe, log = tmp_path / "pipe", tmp_path / "log"
    os.mkfifo(pipe)
    log.write_bytes(b"before ")
    words = ("decode", codes, "--format", "wav", "--model", tiny_folder, "-q", *FAST)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        assert command(*words, "-o", pipe) == (0, b"", "")
        piped = reader.communicate(timeout=60)[0]
    assert pipe.is_fifo() and names(tmp_path) == ["log", "pipe"]
    status, _, err = command(*words, "-o", "/dev/stdout", prefix=redirected(f">> {log}"))
    assert (status, err) == (0, "")
    assert log.read_bytes() == b"before " + piped
    assert command(*words, "-o", tmp_path / "x.wav")[0] == 0
    assert (tmp_path / "x.wav").read_bytes() == piped


# --- signals ---


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stopped_command_cleans_up(long_codes, tiny_folder, tmp_path, name):
    number = getattr(signal, name)
    words = ("decode", long_codes, "-o", tmp_path / "x.wav", "--num-steps", "200")
    process = start(
        *(*words, "--model", tiny_folder),
        # What runs in the background of a shell ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    try:
        while not names(tmp_path):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=100)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (128 + number, b"", b"semanticodec: stopped\n")
    assert names(tmp_path) == []


def test_a_command_under_nohup_goes_on(long_codes, tiny_folder, tmp_path):
    process = start(
        *("decode", long_codes, "-o", tmp_path / "x.wav", "--model", tiny_folder, *FAST),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    while not names(tmp_path):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    assert process.wait(100) == 0
    assert names(tmp_path) == ["x.wav"]


# --- names and letters ---


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]
)
def test_any_name_can_be_told(recording, tiny_folder, tmp_path, environment):
    odd = [os.fsdecode(name) for name in (b"\xc3\xbc.wav", b"caf\xe9.wav", b"$x$ ^.wav")]
    paths = [os.fsencode(tmp_path / name) for name in odd]
    for path in paths:
        shutil.copy(recording, path)
    arguments = [sys.executable, "-m", "semanticodec", "roundtrip", *paths, "missing.wav", "--plot"]
    arguments += ["-o", tmp_path / "out", "--model", tiny_folder, *FAST]
    finished = subprocess.run(
        arguments, capture_output=True, env={**os.environ, **environment}, timeout=200
    )
    assert finished.returncode == 2 and finished.stderr.count(b"\n") == 1, finished.stderr
    assert b"missing.wav" in finished.stderr
    wanted = sorted(name[:-4] + end for name in odd for end in (".wav", ".png"))
    assert names(tmp_path / "out") == wanted
    lines = finished.stdout.decode(errors="surrogateescape").splitlines()
    assert lines[-1].startswith("3 encoded and decoded, 1 failed, ") and len(lines) == 4

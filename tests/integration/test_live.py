"""`semanticodec encode -` on pipes that do not end, or not yet."""

import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from semanticodec import Codes, StreamDecoder
from semanticodec.container import Reader

WINDOW = 10_240


def pcm(num_samples, channels=1):
    rng = np.random.default_rng(5)
    return (rng.normal(0, 0.1, (num_samples, channels)) * 32768).astype("<i2")


def wav(samples, sample_rate=16_000, told=0xFFFF_FFFF):
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="WAV")
    data = file.getvalue()
    place = data.index(b"data") + 4
    return data[:place] + told.to_bytes(4, "little") + data[place + 4 :]


def words(tiny_folder, *more):
    program = [sys.executable, "-m", "semanticodec", "encode", "-", "--threads", "1"]
    return [*program, "--model", str(tiny_folder), *map(str, more)]


@pytest.fixture
def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_blocks_come_while_the_pipe_is_open(tiny_codec, tiny_folder, environment):
    samples = pcm(3 * WINDOW + 1000)
    process = subprocess.Popen(
        words(tiny_folder, "--window", 0.64),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        bufsize=0,
    )
    killer = threading.Timer(100, process.kill)
    killer.start()
    try:
        data = wav(samples)
        process.stdin.write(data[:-2000])  # two whole windows and nearly a third
        expected = list(tiny_codec.encode_stream([samples[:, 0]], window_s=0.64))
        blocks = iter(Reader(process.stdout))
        for item in expected[:2]:  # the pipe is still open
            block = next(blocks)
            assert np.array_equal(block.semantic, item.semantic[0])
            assert np.array_equal(block.acoustic, item.acoustic[0])
        assert process.poll() is None
        process.stdin.write(data[-2000:])
        process.stdin.close()
        rest = list(blocks)
        assert [len(block) for block in rest] == [len(item.semantic[0]) for item in expected[2:]]
        assert process.wait() == 0 and b"1.98 s" in process.stderr.read()
    finally:
        killer.cancel()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def test_raw_pcm_becomes_a_file_of_exact_length(tiny_codec, tiny_folder, environment, tmp_path):
    samples = pcm(40_000, channels=2)
    target = tmp_path / "live.smtc"
    options = ("--raw-rate", 44_100, "--raw-channels", 2, "-o", target)
    finished = subprocess.run(
        words(tiny_folder, *options), input=samples.tobytes(), capture_output=True, env=environment
    )
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert f"{target.stat().st_size} bytes".encode() in finished.stdout
    codes = Codes.load(target)
    assert codes == tiny_codec.encode(samples.T, sample_rate=44_100)
    decoder = StreamDecoder(tiny_codec, num_steps=1)
    assert decoder.push(codes).shape[2] + decoder.finish().shape[2] == codes.num_samples[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--window", "0.64"), "--window is for live sound on stdin"),
        (("--raw-rate", "8000"), "--raw-rate is for live sound on stdin"),
    ],
)
def test_live_options_of_files_are_refused(options, message, capfd):
    from semanticodec.cli import main

    assert main(["encode", "sound.wav", *options]) == 2
    assert message in capfd.readouterr().err

"""Codecs as programs: aligned and counted where they are installed, and any failure of theirs."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from semanticodec.errors import MissingDependencyError
from semanticodec.evaluation.systems import open_system, programs
from semanticodec.evaluation.systems.base import ReconstructionError

NEEDED = {
    "opus": ("opusenc", "opusdec"),
    "codec2": ("c2enc", "c2dec"),
    "speex": ("speexenc", "speexdec"),
}
ALL_SPECS = (
    "opus:kbps=6",
    "opus:kbps=24",
    "codec2:mode=700C",
    "codec2:mode=1200",
    "codec2:mode=3200",
    "speex",
    "speex:quality=8",
)


def open_or_skip(spec):
    kind = spec.partition(":")[0]
    for program in NEEDED[kind]:
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program} ({programs.DEBIAN_PACKAGES[program]})")
    return open_system(spec)


def bursts(num_samples):
    """Return voiced bursts of random length and pitch: what a vocoder can follow."""
    rng = np.random.default_rng(0)
    wav = np.zeros(num_samples)
    start = 1000
    while start < num_samples:
        length, period = rng.integers(1200, 3200), rng.integers(80, 160)
        pulses = np.zeros(length)
        pulses[::period] = 1
        formants = np.exp(-np.arange(200) / 30) * np.sin(2 * np.pi * 700 / 16_000 * np.arange(200))
        burst = np.convolve(pulses, formants)[:length] * np.hanning(length)
        wav[start : start + length] += burst[: num_samples - start]
        start += length + rng.integers(600, 2400)
    return (0.3 * wav / np.abs(wav).max()).astype(np.float32)


def lag(reference, delayed, most=800):
    """Return the shift in samples at which two signals correlate best."""
    middle = reference[most:-most] - reference[most:-most].mean()
    scores = [
        np.dot(middle, delayed[most + shift : len(delayed) - most + shift])
        for shift in range(-most, most)
    ]
    return int(np.argmax(scores)) - most


def envelope(wav):
    """Return the log energy in 20 ms around every sample."""
    energy = np.convolve(wav.astype(np.float64) ** 2, np.hanning(320), "same")
    return np.log10(np.maximum(energy, 1e-6))


# Speex compensates its delay itself only where the audio fills more than one Ogg page.
@pytest.mark.parametrize("num_samples", [10_000, 40_000])
@pytest.mark.parametrize("spec", ["opus:kbps=24", "speex:quality=8"])
def test_waveforms_stay_in_place(spec, num_samples, clip):
    system = open_or_skip(spec)
    wav = bursts(num_samples)
    assert abs(lag(wav, system.reconstruct(wav, clip).wav)) <= 3


@pytest.mark.parametrize("spec", ALL_SPECS)
def test_envelopes_stay_in_place(spec, clip):
    system = open_or_skip(spec)
    wav = bursts(48_000)
    assert abs(lag(envelope(wav), envelope(system.reconstruct(wav, clip).wav))) <= 80  # 5 ms


@pytest.mark.parametrize("num_samples", [1, 959, 5001, 81_601])
@pytest.mark.parametrize("spec", ALL_SPECS)
def test_lengths_are_exact_and_results_repeat(spec, num_samples, clip, noise):
    system = open_or_skip(spec)
    first, second = (system.reconstruct(noise(num_samples), clip) for _ in range(2))
    assert first.wav.shape == (num_samples,) and first.wav.dtype == np.float32
    assert np.array_equal(first.wav, second.wav) and first.num_bits == second.num_bits


@pytest.mark.parametrize(
    ("spec", "bits_per_frame", "frame_s", "extra_s"),
    [
        (
            "opus:kbps=6",
            120,
            0.02,
            0.0065,
        ),  # pre-skip; the last frame is 20 ms where that is enough
        ("speex", 80, 0.02, 0.02),  # padding
        ("speex:quality=8", 560, 0.02, 0.02),
        ("codec2:mode=700C", 28, 0.04, 0.03),  # delay
        ("codec2:mode=1200", 48, 0.04, 0.02),
        ("codec2:mode=3200", 64, 0.02, 0.02),
    ],
)
def test_the_payload_alone_is_counted(spec, bits_per_frame, frame_s, extra_s, clip, noise):
    system = open_or_skip(spec)
    num_bits = system.reconstruct(noise(16_000 * 3), clip).num_bits
    num_frames = num_bits / bits_per_frame
    assert num_frames == round(num_frames)
    assert 0 <= num_frames - (3 + extra_s) / frame_s < 2


def test_details_tell_the_version():
    details = open_or_skip("opus:kbps=6").details
    assert details["kbps"] == 6 and "opus-tools" in details["programs"]["opusenc"]


def test_a_missing_program_is_named_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for spec, program, package in (
        ("opus:kbps=6", "opusenc", "opus-tools"),
        ("codec2:mode=1200", "c2enc", "codec2"),
        ("speex", "speexenc", "speex"),
    ):
        expected = f"program {program}, which is not on the PATH.*apt install {package}"
        with pytest.raises(MissingDependencyError, match=expected):
            open_system(spec)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Put a shell script on the PATH under the name of a program."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))

    def put(name, body):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 1\n{body}\n')
        path.chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("encoder", "decoder", "message"),
    [
        ("echo it hurts >&2; exit 3", "", "opusenc failed with status 3: it hurts$"),
        ("exit 1", "", "opusenc failed with status 1: no message$"),
        ("kill -9 $$", "", "opusenc failed with status -9"),
        ("exit 0", "exit 0", "opusenc wrote no output$"),
        ("touch clip.opus", "exit 0", "opusdec wrote no output$"),
        ("touch clip.opus", "echo junk > decoded.wav", "opusdec wrote no readable wav file$"),
        ("echo junk > clip.opus", "cp clip.wav decoded.wav", "no valid Ogg stream: page 0 at byte"),
        ("touch clip.opus", "cp clip.wav decoded.wav", "an Ogg stream without audio packets$"),
        ("touch clip.opus", "cp ../other.wav decoded.wav", "1 channels at 8000 Hz; 1 at 16000"),
    ],
)
def test_whatever_a_program_does_is_an_error_of_the_clip(
    encoder, decoder, message, fake, clip, noise, monkeypatch, tmp_path
):
    soundfile.write(tmp_path / "other.wav", noise(100), 8000)
    monkeypatch.setattr(programs.tempfile, "tempdir", str(tmp_path))
    fake("opusenc", encoder)
    fake("opusdec", decoder)
    system = open_system("opus:kbps=6")
    with pytest.raises(ReconstructionError, match=message) as caught:
        system.reconstruct(noise(1600), clip)
    assert str(tmp_path) not in str(caught.value)
    assert not list(tmp_path.glob("semanticodec-*"))


def test_a_program_that_hangs_is_stopped(fake, clip, noise, monkeypatch):
    monkeypatch.setattr(programs, "TIMEOUT_S", 0.9)
    fake("opusenc", "exec sleep 60")
    fake("opusdec", "")
    with pytest.raises(ReconstructionError, match="opusenc did not finish in 1 s and was stopped$"):
        open_system("opus:kbps=6").reconstruct(noise(1600), clip)


def test_too_few_samples_are_told(fake, clip, noise):
    fake("c2enc", "head -c 48 /dev/zero > clip.bit")
    fake("c2dec", "head -c 7 /dev/zero > decoded.raw")
    with pytest.raises(ReconstructionError, match="c2enc wrote 48 bytes where 18 are due"):
        open_system("codec2:mode=1200").reconstruct(noise(1600), clip)
    fake("c2enc", "head -c 18 /dev/zero > clip.bit")
    with pytest.raises(ReconstructionError, match="c2dec gave 3 of 960 samples"):
        open_system("codec2:mode=1200").reconstruct(noise(1600), clip)


def test_a_file_that_is_no_program_is_told(fake, clip, noise, tmp_path):
    fake("opusenc", "")
    fake("opusdec", "")
    (tmp_path / "opusenc").write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(ReconstructionError, match="opusenc cannot be started: Exec format error"):
        open_system("opus:kbps=6").reconstruct(noise(1600), clip)

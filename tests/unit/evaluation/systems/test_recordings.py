"""Recordings as systems: found by the clip's name, at 16 kHz, as long as the clip."""

import numpy as np
import pytest
import soundfile

from semanticodec.errors import ConfigError, DataError
from semanticodec.evaluation.systems import open_system


@pytest.fixture
def folder(tmp_path):
    """A folder `decoded` and a way to put the recording of the clip there."""
    (tmp_path / "decoded" / "speech").mkdir(parents=True)

    def put(samples, name="a.flac", rate=16_000):
        soundfile.write(tmp_path / "decoded" / "speech" / name, samples, rate)
        return tmp_path / "decoded"

    return put


def test_ground_truth_is_the_clip_itself(clip, noise):
    system = open_system("ground-truth")
    made = system.reconstruct(noise(1000), clip)
    assert np.array_equal(made.wav, noise(1000))
    assert made.num_bits is None and not made.warnings


@pytest.mark.parametrize("name", ["a.wav", "a.FLAC"])
def test_a_recording_is_found_by_the_name_of_the_clip(clip, noise, folder, name):
    samples = np.round(noise(1000) * 32768) / 32768
    system = open_system(f"folder:path={folder(samples, name)},kbps=0.5")
    made = system.reconstruct(noise(1000), clip)
    assert np.array_equal(made.wav, samples.astype(np.float32))
    assert made.num_bits == round(500 * 1000 / 16_000) and not made.warnings
    assert system.name == "folder:path=decoded,kbps=0.5" and system.details["num_recordings"] == 1


def test_bits_are_unknown_without_a_rate(clip, noise, folder):
    assert (
        open_system(f"folder:path={folder(noise(10))}").reconstruct(noise(10), clip).num_bits
        is None
    )


@pytest.mark.parametrize(
    ("surplus", "warning"),
    [
        (1600, "1600 samples were cut at the end to match the clip's 5000 samples"),
        (-1600, "1600 zeros were added at the end to match the clip's 5000 samples"),
    ],
)
def test_a_tenth_of_a_second_is_forgiven_and_told(clip, noise, folder, surplus, warning):
    system = open_system(f"folder:path={folder(noise(5000 + surplus))}")
    made = system.reconstruct(noise(5000), clip)
    assert made.wav.shape == (5000,) and made.warnings == (warning,)
    assert surplus > 0 or not made.wav[surplus:].any()


@pytest.mark.parametrize("surplus", [1601, -1601])
def test_more_is_another_recording(clip, noise, folder, surplus):
    system = open_system(f"folder:path={folder(noise(5000 + surplus))}")
    with pytest.raises(DataError, match=f"speech/a has {5000 + surplus} samples.*clip has 5000"):
        system.reconstruct(noise(5000), clip)


def test_other_rates_and_channels_are_taken_and_told(clip, noise, folder):
    stereo = np.stack([noise(24_000), noise(24_000)], axis=1)
    made = open_system(f"folder:path={folder(stereo, rate=24_000)}").reconstruct(
        noise(16_000), clip
    )
    assert made.wav.shape == (16_000,)
    assert made.warnings == ("resampled from 24000 Hz to 16000 Hz", "2 channels were averaged")


def test_clips_without_one_readable_recording_are_named(clip, noise, folder, tmp_path):
    path = folder(noise(10), "b.wav")
    with pytest.raises(DataError, match=r"speech/a has no recording.*decoded; add speech/a\.wav"):
        open_system(f"folder:path={path}").reconstruct(noise(10), clip)
    (path / "speech" / "a.wav").write_bytes(b"junk")
    with pytest.raises(DataError, match="speech/a in the folder decoded: .*not readable") as caught:
        open_system(f"folder:path={path}").reconstruct(noise(10), clip)
    assert str(tmp_path) not in str(caught.value)
    folder(noise(10), "a.flac")
    with pytest.raises(DataError, match=r"several recordings.*a\.flac, a\.wav.*leave one"):
        open_system(f"folder:path={path}").reconstruct(noise(10), clip)


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no recordings; give one with \.wav"):
        open_system(f"folder:path={tmp_path}")


def test_other_recordings_have_another_fingerprint(noise, folder):
    prints = {
        open_system(f"folder:path={folder(noise(size))}").details["fingerprint"]
        for size in (9, 10, 9)
    }
    assert len(prints) == 2

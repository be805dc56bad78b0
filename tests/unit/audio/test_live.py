"""Sound over pipes: what is live, and that its samples are those of the file."""

import io
import struct

import numpy as np
import pytest
import soundfile

from semanticodec.audio.live import RawFormat, raw_blocks, read_endless_wav_header


class Dribble(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int = 7) -> None:
        super().__init__(data)
        self._size = size

    def read(self, size: int = -1) -> bytes:
        return super().read(min(size, self._size) if size >= 0 else self._size)

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)


def sound(channels: int = 1, frames: int = 500) -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.9, 0.9, (frames, channels))


def wav_bytes(subtype: str, channels: int = 1, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound(channels), 22_050, subtype, format=kind)
    return file.getvalue()


def with_length(wav: bytes, told: int) -> bytes:
    """Return a WAV whose header tells another length of its samples."""
    place = wav.index(b"data") + 4
    return wav[:place] + struct.pack("<I", told) + wav[place + 4 :]


def samples_of(stream, format, start) -> np.ndarray:
    return np.concatenate(list(raw_blocks(stream, format, start)), axis=1).T


@pytest.mark.parametrize("told", [0, 0x7FFF_FFFF - 36, 0xFFFF_FFFF])
@pytest.mark.parametrize(
    ("subtype", "channels", "kind"),
    [
        ("PCM_U8", 1, "WAV"),
        ("PCM_16", 2, "WAV"),
        ("PCM_24", 3, "WAVEX"),
        ("PCM_32", 1, "WAV"),
        ("FLOAT", 2, "WAV"),
        ("DOUBLE", 1, "WAV"),
        ("ULAW", 1, "WAV"),
        ("ALAW", 2, "WAV"),
    ],
)
def test_endless_wav_has_the_samples_of_the_file(subtype, channels, kind, told):
    data = wav_bytes(subtype, channels, kind)
    stream = Dribble(with_length(data, told))
    format, start = read_endless_wav_header(stream)
    assert (format.subtype, format.channels, format.sample_rate) == (subtype, channels, 22_050)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    found = samples_of(stream, format, start)
    assert np.array_equal(found[:500], expected)  # trailing chunks of libsndfile's may follow


EMPTY = wav_bytes("PCM_16")[:36] + b"data\0\0\0\0LIST\4\0\0\0abcd"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIF",
        b"fLaC" + bytes(100),
        wav_bytes("PCM_16"),
        wav_bytes("PCM_16")[:38],
        wav_bytes("FLOAT", kind="W64"),
        b"RIFF\0\0\0\0WAVE" + b"fmt \xff\xff\xff\xff" + bytes(100),
        b"RIFF\0\0\0\0WAVE" + b"data\xff\xff\xff\xff" + bytes(100),
        with_length(wav_bytes("IMA_ADPCM"), 0),
        EMPTY,
    ],
)
def test_all_else_is_given_back_as_it_was_read(data):
    stream = Dribble(data)
    format, read = read_endless_wav_header(stream)
    assert format is None
    assert read == data[: len(read)]
    rest = b"".join(iter(lambda: stream.read(100), b""))
    assert read + rest == data


def test_samples_come_as_they_are_there():
    frames = (sound(2) * 32768).astype("<i2")
    blocks = raw_blocks(
        Dribble(frames.tobytes() + b"x", 9), RawFormat(channels=2, sample_rate=8000)
    )
    shapes = [block.shape for block in blocks]
    assert {channels for channels, _ in shapes} == {2}
    assert max(length for _, length in shapes) <= 3 and sum(length for _, length in shapes) == 500

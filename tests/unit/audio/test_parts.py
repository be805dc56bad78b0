"""Every sound file is read to its end, whatever its header says and however it is opened."""

import io
import os
import struct

import numpy as np
import pytest
import soundfile

from semanticodec.audio.io import load_audio, read_blocks, seekable_sound
from semanticodec.errors import AudioError
from sound_bytes import (
    RATE,
    encoded,
    flac_without_length,
    frame_bytes,
    id3,
    mp3,
    mp3_without_header,
    patched,
    tone,
    wav,
)

WAV, AU, CAF = wav(), encoded("AU"), encoded("CAF")
RF64 = wav(sound_format="RF64")
DS64 = RF64.index(b"ds64") + 8
UNKNOWN = 0xFFFFFFFF


class Pipe(io.RawIOBase):
    """What comes out of a pipe: a few bytes at a time, and no way back."""

    def __init__(self, data):
        self._left = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._left.readinto(memoryview(buffer)[:1000])


def samples_of(data, tmp_path, name="sound"):
    """The samples of a file, which are the same by path, in memory, by open file and by pipe."""
    (tmp_path / name).write_bytes(data)
    (tmp_path / f"{name}.mp3").write_bytes(data)
    results = [load_audio(tmp_path / name), load_audio(tmp_path / f"{name}.mp3")]
    results += [load_audio(data), load_audio(io.BytesIO(data)), load_audio(Pipe(data))]
    with (tmp_path / name).open("rb") as file:
        results.append(load_audio(file))
    for other in results[1:]:
        assert np.array_equal(results[0], other)
    return results[0].numpy()


WITH_WRONG_LENGTH = {
    "wav 0": (wav(0, 0), WAV),
    "wav 36 and 0, never closed": (wav(36, 0), WAV),
    "wav right and 0": (wav(None, 0), WAV),
    "wav largest": (wav(UNKNOWN, UNKNOWN), WAV),
    "wav 2 GiB": (wav(0x7FFFFFFF, 0x7FFFFFFF - 36), WAV),
    "wav as ffmpeg pipes it": (
        WAV[:4]
        + b"\xff" * 4
        + WAV[8:36]
        + b"LIST\x04\0\0\0INFO"
        + b"data"
        + b"\xff" * 4
        + WAV[44:],
        WAV,
    ),
    "rf64 0": (patched(RF64, DS64, bytes(24)), WAV),
    "rf64 largest": (patched(RF64, DS64, b"\xff" * 24), WAV),
    "au 0": (patched(AU, 8, bytes(4)), AU),
    "au largest": (patched(AU, 8, b"\xff" * 4), AU),
    "caf -1": (patched(CAF, CAF.index(b"data") + 4, b"\xff" * 8), CAF),
    "flac unknown": (flac_without_length(), encoded("FLAC")),
    "flac too long": (patched(encoded("FLAC"), 22, struct.pack(">I", 200_000)), encoded("FLAC")),
    "flac unknown, tag at the end": (
        flac_without_length() + b"TAG".ljust(128, b"\0"),
        encoded("FLAC"),
    ),
}


@pytest.mark.parametrize("name", WITH_WRONG_LENGTH)
def test_a_wrong_length_in_the_header_changes_nothing(name, tmp_path):
    wrong, right = WITH_WRONG_LENGTH[name]
    assert np.array_equal(samples_of(wrong, tmp_path), load_audio(right).numpy())


def test_more_than_4_gib_are_known_by_their_size(tmp_path):
    """32-bit sizes begin anew after 4 GiB; the file here is a hole with a header."""
    path = tmp_path / "long.wav"
    header = wav(36 + 8000, 8000)[:44]
    with path.open("wb") as file:
        file.write(header)
        file.truncate(44 + 8000 + (1 << 32))
    blocks = read_blocks(path)
    assert sum(len(next(blocks)) for _ in range(3)) == 3 * 10 * RATE


def test_an_empty_recording_stays_empty(tmp_path):
    empty = wav(samples=np.zeros(0, dtype=np.float32))
    assert len(samples_of(empty, tmp_path)) == 0
    assert len(samples_of(empty + b"LIST\x04\0\0\0INFO", tmp_path)) == 0


WITH_FRONT = {
    "zeros": bytes(5000),
    "half a frame": mp3()[frame_bytes(mp3()) + 40 :][: frame_bytes(mp3()) // 2],
    "small tag": id3(128),
    "large tag": id3(300_000),
    "tags and padding": id3(77) + id3(1000) + bytes(3000),
}


@pytest.mark.parametrize("name", WITH_FRONT)
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_what_stands_before_an_mp3_changes_nothing(name, mode, tmp_path):
    right = mp3(mode=mode)
    found = samples_of(WITH_FRONT[name] + right, tmp_path)
    assert np.array_equal(found, load_audio(right).numpy())


@pytest.mark.parametrize("sound_format", ["WAV", "FLAC", "OGG", "AIFF"])
def test_what_stands_before_other_formats_changes_nothing(sound_format, tmp_path):
    right = encoded(sound_format)
    assert np.array_equal(samples_of(bytes(100) + right, tmp_path), load_audio(right).numpy())


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
def test_an_mp3_without_header_is_read_to_its_end(mode, rate, tmp_path):
    found = samples_of(mp3_without_header(mode=mode, rate=rate), tmp_path)
    whole = load_audio(mp3(mode=mode, rate=rate)).numpy()
    assert 0 <= len(found) - len(whole) < 0.1 * RATE  # the encoder's padding
    last = RATE // 2
    assert np.abs(found[-last:]).mean() > 0.5 * np.abs(whole[-last:]).mean()


def test_an_mp3_that_tells_too_few_frames_is_read_to_its_end(tmp_path):
    right = mp3()
    at = max(right.find(b"Xing"), right.find(b"Info")) + 8
    wrong = samples_of(patched(right, at, struct.pack(">I", 10)), tmp_path)
    assert np.array_equal(wrong, load_audio(right).numpy())


def test_mp3_files_one_behind_the_other_are_all_read(tmp_path):
    first, second = mp3(), mp3(tone(1.0, 44_100, 500.0), 44_100)
    found = samples_of(first + id3(200) + second + b"TAG".ljust(128, b"\0"), tmp_path)
    assert np.array_equal(found, np.concatenate([load_audio(first), load_audio(second)]))


def test_a_gap_in_an_mp3_costs_no_more_than_itself(tmp_path):
    whole = mp3(mode="CONSTANT")
    cut = frame_bytes(whole) * 40
    found = samples_of(whole[:cut] + bytes(3000) + whole[cut:], tmp_path)
    assert abs(len(found) - 2 * RATE) < 0.2 * RATE


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_chained_ogg_is_read_to_its_end(subtype, tmp_path):
    first = encoded("OGG", subtype=subtype)
    second = encoded("OGG", tone(0.5, 48_000, 700.0), 48_000, subtype=subtype)
    found = samples_of(first + second + first, tmp_path)
    parts = [load_audio(first), load_audio(second), load_audio(first)]
    assert np.array_equal(found, np.concatenate(parts))


def test_an_ogg_that_is_cut_in_the_start_of_another_keeps_its_sound(tmp_path):
    first = encoded("OGG", subtype="OPUS")
    found = samples_of(first + encoded("OGG", subtype="OPUS")[:60], tmp_path)
    assert np.array_equal(found, load_audio(first).numpy())


@pytest.mark.parametrize("sound_format", ["WAV", "FLAC", "OGG", "MP3"])
def test_the_suffix_of_a_name_means_nothing(sound_format, tmp_path):
    data = encoded(sound_format)
    right = load_audio(data)
    for suffix in ("mp3", "au", "raw", "gsm", "txt"):
        path = tmp_path / f"sound.{suffix}"
        path.write_bytes(data)
        assert np.array_equal(load_audio(path), right)


ARCHIVE = b"member.wav".ljust(257, b"\0") + b"ustar".ljust(255, b"\0")
REFUSED = {
    "text": (b"this is no sound\n" * 500, "is not readable audio"),
    "noise": (np.random.default_rng(3).bytes(300_000), "is not readable audio"),
    "zeros": (bytes(100_000), "is not readable audio"),
    "archive": (ARCHIVE + WAV, "is not readable audio"),
    "nothing": (b"", "is empty"),
    "half a flac": (encoded("FLAC")[:9000], "is damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("suffix", ["mp3", "au", "wav"])
def test_no_sound_is_refused_under_every_name(name, suffix, tmp_path):
    data, message = REFUSED[name]
    path = tmp_path / f"sound.{suffix}"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=rf"sound\.{suffix} {message}"):
        load_audio(path)
    with pytest.raises(AudioError, match=message):
        load_audio(Pipe(data))


def test_a_stream_is_read_from_where_it_stands():
    stream = io.BytesIO(b"other" + WAV)
    stream.seek(5)
    assert np.array_equal(load_audio(stream), load_audio(WAV))
    with pytest.raises(AudioError, match=r"is at its end; seek\(0\) before"):
        load_audio(stream_at_end())
    with pytest.raises(AudioError, match="open as text"):
        load_audio(io.StringIO("RIFF"))


class Failing(io.BytesIO):
    """A file on a disk that breaks."""

    def __init__(self, data, error):
        super().__init__(data)
        self.error = error

    def read(self, size=-1):
        data = super().read(size)
        if self.tell() > 15_000:
            raise self.error
        return data


@pytest.mark.parametrize(
    "data", [WAV, encoded("FLAC"), mp3(tone(9.0)), mp3_without_header(samples=tone(9.0))]
)
def test_an_error_while_reading_is_no_end_of_the_file(data):
    with pytest.raises(AudioError, match="cannot be read"):
        load_audio(Failing(data, OSError(5, "Input/output error")))
    with pytest.raises(KeyboardInterrupt):
        load_audio(Failing(data, KeyboardInterrupt()))


def test_a_closed_file_is_no_audio(tmp_path):
    with open(tmp_path / "a.wav", "wb") as file:
        file.write(WAV)
    with pytest.raises(AudioError, match="cannot be read"):
        load_audio(file)


def stream_at_end():
    stream = io.BytesIO()
    stream.write(WAV)
    return stream


def test_names_of_any_bytes_are_opened(tmp_path):
    for name in (b"caf\xe9.wav", b"line\nbreak.wav", b"-.wav", b"dot..wav", b"n" * 251 + b".wav"):
        path = bytes(tmp_path) + b"/" + name
        with open(path, "wb") as file:
            file.write(WAV)
        assert len(load_audio(os.fsdecode(path))) == RATE


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (WAV, 1.0),
        (flac_without_length(), 1.0),
        (wav(0, 0), 1.0),
        (mp3(), 2.0),
        (bytes(500) + mp3(), 2.0),
        (mp3_without_header(mode="CONSTANT"), 2.088),
        (mp3_without_header(), 2.088),
    ],
    ids=[
        *("wav", "flac unknown", "wav 0", "mp3", "mp3 behind zeros"),
        *("constant mp3 without header", "variable mp3 without header"),
    ],
)
def test_a_file_to_seek_in_knows_its_length(data, seconds):
    with seekable_sound(io.BytesIO(data)) as sound:
        assert sound.frames / sound.samplerate == pytest.approx(seconds, abs=0.01)
        sound.seek(sound.frames - 100)
        assert len(sound.read(1000)) == 100


def test_good_files_are_read_as_libsndfile_reads_them(tmp_path):
    for sound_format in ("WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF", "W64", "AU"):
        path = tmp_path / f"sound.{sound_format.lower()}"
        path.write_bytes(encoded(sound_format))
        with soundfile.SoundFile(path) as sound:
            right = sound.read(dtype="float32")
        assert np.array_equal(load_audio(path), right)

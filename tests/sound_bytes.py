"""Sound files made by hand: as recorders, pipes and cuts leave them."""

import io
import struct

import numpy as np
import soundfile

RATE = 16_000
# kbit/s of layer III by index, MPEG-1 and MPEG-2.
MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def tone(seconds=1.0, rate=RATE, frequency_hz=300.0):
    """A tone whose second half is noisy: the bitrates of a variable MP3 differ."""
    time = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(1).standard_normal(len(time)) * (time > seconds / 2)
    return (0.3 * np.sin(2 * np.pi * frequency_hz * time) + 0.05 * noise).astype(np.float32)


def encoded(sound_format, samples=None, rate=RATE, **options):
    """Samples (1 s by default) as a file of a format of libsndfile."""
    stream = io.BytesIO()
    samples = tone(rate=rate) if samples is None else samples
    soundfile.write(stream, samples, rate, format=sound_format, **options)
    return stream.getvalue()


def patched(data, at, new):
    """Bytes with others in their place from `at` on."""
    return data[:at] + new + data[at + len(new) :]


def wav(riff=None, data=None, sound_format="WAV", **options):
    """A WAV whose header tells the given sizes."""
    made = encoded(sound_format, subtype="PCM_16", **options)
    if riff is not None:
        made = patched(made, 4, struct.pack("<I", riff))
    if data is not None:
        made = patched(made, made.index(b"data") + 4, struct.pack("<I", data))
    return made


def flac_without_length(samples=None):
    """A FLAC as it comes out of a pipe: its header knows no number of samples."""
    made = bytearray(encoded("FLAC", samples))
    made[21] &= 0xF0
    made[22:26] = bytes(4)
    return bytes(made)


def mp3(samples=None, rate=RATE, mode="VARIABLE"):
    """An MP3 with an info frame, 2 s by default."""
    samples = tone(2.0, rate) if samples is None else samples
    return encoded("MP3", samples, rate, bitrate_mode=mode, compression_level=0.5)


def frame_bytes(header):
    """Size of a frame of layer III."""
    version = header[1] >> 3 & 3
    rate = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000)}[version][header[2] >> 2 & 3]
    kbps = (MPEG1_KBPS if version == 3 else MPEG2_KBPS)[header[2] >> 4]
    return (144 if version == 3 else 72) * kbps * 1000 // rate + (header[2] >> 1 & 1)


def mp3_without_header(**options):
    """An MP3 that was cut out of a stream: frames alone."""
    made = mp3(**options)
    return made[frame_bytes(made) :]


def id3(num_bytes):
    """An ID3v2 tag with so many bytes of nothing in it."""
    size = bytes(num_bytes >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + size + bytes(num_bytes)

"""Sound files made piece by piece are the ones that are made whole."""

import io

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.audio.streamed import flac_bytes, to_int16, wav_bytes

RATE = 16_000


@pytest.mark.parametrize("make", [wav_bytes, flac_bytes])
@pytest.mark.parametrize("lengths", [[1], [100, 1, 4096], [50_000, 30_000, 7]])
def test_every_length_in_pieces(make, lengths):
    blocks = [1.2 * torch.rand(1, 1, length) - 0.6 for length in lengths]
    made = b"".join(make(iter(blocks), sum(lengths), RATE))
    assert soundfile.info(io.BytesIO(made)).frames == sum(lengths)
    samples, rate = soundfile.read(io.BytesIO(made), dtype="int16")
    assert rate == RATE
    assert np.array_equal(samples, np.concatenate([to_int16(block) for block in blocks]))


def test_a_flac_comes_before_its_end():
    pieces = flac_bytes((torch.zeros(20_000) for _ in range(3)), 60_000, RATE)
    assert next(pieces).startswith(b"fLaC")
    assert next(pieces)


def test_samples_beyond_full_scale_are_clipped():
    assert to_int16(torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [
        -32767,
        -32767,
        0,
        32767,
        32767,
    ]

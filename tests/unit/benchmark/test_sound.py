"""The sound is the same every time and never too loud."""

import numpy as np

from semanticodec.benchmark.sound import synthesize


def test_a_sound_depends_on_its_number_alone():
    assert np.array_equal(synthesize(8000, 3), synthesize(8000, 3))
    assert not np.array_equal(synthesize(8000, 3), synthesize(8000, 4))
    wav = synthesize(160_000)
    assert wav.dtype == np.float32 and 0.1 < np.abs(wav).max() <= 1

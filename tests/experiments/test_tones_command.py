"""`python -m experiments.tones` through its command line."""

import numpy as np
import soundfile as sf

from experiments.tones.__main__ import main


def test_a_minute_of_signals_is_the_same_again_and_none_is_silent(tmp_path):
    for name in ("a", "b"):
        assert main([str(tmp_path / name), "--minutes", "1", "--seed", "3"]) == 0
    paths = sorted((tmp_path / "a" / "tones").iterdir())
    assert len(paths) == 6
    for path in paths:
        wav, rate = sf.read(path)
        assert rate == 16000 and len(wav) == 163_840
        assert 0.02 < np.abs(wav).max() < 0.75
        assert np.array_equal(wav, sf.read(tmp_path / "b" / "tones" / path.name)[0])

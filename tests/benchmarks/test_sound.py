"""Long sounds come in blocks."""

import numpy as np
import soundfile

from benchmarks.sound import sound_blocks, write_sound


def test_blocks_make_up_the_length_and_are_written_one_by_one(tmp_path):
    lengths = [len(block) for block in sound_blocks(21.5)]
    assert lengths == [160_000, 160_000, 24_000]
    write_sound(tmp_path / "sound.wav", sound_blocks(21.5))
    written, rate = soundfile.read(tmp_path / "sound.wav")
    assert (len(written), rate) == (344_000, 16_000)
    expected = np.concatenate(list(sound_blocks(21.5)))
    assert np.abs(written - expected).max() < 1e-4

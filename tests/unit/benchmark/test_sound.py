"""The sound is the same every time and never too loud."""

import numpy as np
import soundfile

from semanticodec.benchmark.sound import sound_blocks, synthesise, write_sound


def test_a_sound_depends_on_its_number_alone():
    assert np.array_equal(synthesise(8000, 3), synthesise(8000, 3))
    assert not np.array_equal(synthesise(8000, 3), synthesise(8000, 4))
    wav = synthesise(160_000)
    assert wav.dtype == np.float32 and 0.1 < np.abs(wav).max() <= 1


def test_blocks_make_up_the_length_and_are_written_one_by_one(tmp_path):
    lengths = [len(block) for block in sound_blocks(21.5)]
    assert lengths == [160_000, 160_000, 24_000]
    write_sound(tmp_path / "sound.wav", sound_blocks(21.5))
    written, rate = soundfile.read(tmp_path / "sound.wav")
    assert (len(written), rate) == (344_000, 16_000)
    expected = np.concatenate(list(sound_blocks(21.5)))
    assert np.abs(written - expected).max() < 1e-4

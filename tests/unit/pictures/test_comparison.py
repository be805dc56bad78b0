"""Several versions of a sound on one scale: the picture shows each of them."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from semanticodec.pictures.comparison import draw_comparison


def tone(frequency, level=0.5):
    return level * np.sin(2 * np.pi * frequency * np.arange(8000) / 16_000)


def drawn(*wavs):
    target = io.BytesIO()
    draw_comparison(target, {f"version {number}": wav for number, wav in enumerate(wavs)})
    target.seek(0)
    return imread(target, format="png")


def test_every_version_and_its_level_are_seen():
    pictures = [
        drawn(tone(300), tone(3000)),
        drawn(tone(300), tone(5000)),
        drawn(tone(300), tone(3000, 0.05)),
        drawn(tone(900), tone(3000)),
    ]
    for number, one in enumerate(pictures):
        assert one.std() > 0.1
        assert not any(np.array_equal(one, other) for other in pictures[number + 1 :])


@pytest.mark.parametrize("number", [1, 4])
def test_the_picture_grows_with_the_versions(number):
    assert drawn(*[tone(300)] * number).shape[0] == pytest.approx(90 * (2 * number + 0.5), abs=2)

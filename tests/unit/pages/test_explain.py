"""What a code stands for: its own places come first, and its band is where the sound is."""

import re

import numpy as np
import pytest
import soundfile

from semanticodec.cli import main
from semanticodec.errors import CodesError
from semanticodec.pages.explanation import band_alone
from semanticodec.pages.meaning import Sound, band_hz, explain

RATE = 16_000


def noise(seed, seconds=2.0):
    samples = np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    return (0.1 * samples).astype(np.float32)


@pytest.fixture(scope="module")
def sounds(quick_codec):
    wavs = {"first": noise(0), "second": noise(1)}
    return [Sound(name, wav, quick_codec.encode(wav)) for name, wav in wavs.items()]


def test_places_of_the_code_itself_come_first_and_are_where_it_is(quick_codec, sounds):
    codes = sounds[1].codes.semantic[0]
    code = int(codes[17])  # of the third column, second band
    meaning = explain(quick_codec, code, sounds, num_places=4)
    uses = [(sound.codes.semantic[0] == code).nonzero().flatten() for sound in sounds]
    assert meaning.num_uses == sum(map(len, uses)) > 0
    distances = [place.distance for place in meaning.places]
    assert distances == sorted(distances) and distances[0] == 0
    for place in meaning.places:
        column = round(place.start_s * 6.25)
        bands = [band for band in range(8) if band_hz(band, 8)[0] == place.low_hz]
        assert place.sound.codes.semantic[0, 8 * column + bands[0]] == place.code
        assert place.end_s - place.start_s == pytest.approx(0.16)
        assert (place.code == code) == (place.distance == 0)


def test_places_of_one_sound_are_apart(quick_codec, sounds):
    places = explain(quick_codec, 3, sounds[:1], num_places=10).places
    starts = sorted(place.start_s for place in places)
    assert len(starts) > 1
    assert min(np.diff(starts)) >= 0.5


def test_a_code_beyond_the_codebook_is_refused(quick_codec, sounds):
    size = quick_codec.semantic_vocab_size
    for code in (-1, size):
        with pytest.raises(
            CodesError, match=f"semantic code {code}; this model has 0 to {size - 1}"
        ):
            explain(quick_codec, code, sounds, 1)


def test_bands_join_and_reach_to_the_top():
    edges = [band_hz(band, 8) for band in range(8)]
    assert edges[0][0] == pytest.approx(20) and edges[-1][1] == pytest.approx(8000)
    assert all(lower[1] == pytest.approx(upper[0]) for lower, upper in zip(edges, edges[1:]))
    assert band_hz(0, 4)[1] == pytest.approx(edges[1][1])


def test_a_band_alone_keeps_its_tones_only():
    time = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 400 * time), np.sin(2 * np.pi * 3000 * time)
    both = (low + high).astype(np.float32)
    assert np.allclose(band_alone(both, 300, 500), low, atol=1e-4)
    assert np.abs(band_alone(both, 5000, 8000)).max() < 1e-4


def test_the_command_prints_places_and_writes_the_page(quick_codec, tmp_path, capsys):
    model = quick_codec.save_pretrained(tmp_path / "model")
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "<noise>.wav", noise(0), RATE)
    code = int(quick_codec.encode(str(tmp_path / "in" / "<noise>.wav")).semantic[0, 0])
    page = tmp_path / "page.html"
    command = ["explain", str(code), "--sounds", str(tmp_path / "in"), "--model", str(model)]
    command += ["--num-places", "2", "-o", str(page)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"semantic code {code} of ")
    assert len(lines) == 1 + 2 + 1 and "this code" in lines[1] and "<noise>.wav" in lines[1]
    html = page.read_text(encoding="utf-8")
    assert (
        html.count('<sound-switch aria-label="code')
        == html.count('<figure><img src="data:image/webp')
        >= 2
    )
    assert "&lt;noise&gt;" in html and not re.search("<noise>", html)
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err

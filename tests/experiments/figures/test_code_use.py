"""Counting codes: figures of sources whose entropy is known, and clips that cannot be encoded."""

import math

import numpy as np
import pytest
import soundfile

from experiments.figures.code_use import (
    MAX_RANKS,
    adaptive_code_length,
    draw_code_use,
    measure_code_use,
    stream_use,
)
from experiments.figures.style import picture_bytes
from semanticodec.errors import DataError
from semanticodec.evaluation.suites import open_suite


def drawn(sizes, shares, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.choice(len(shares), size, p=shares) for size in sizes]


def test_every_entry_alike():
    use = stream_use([np.arange(64), np.arange(64)[::-1]], 64, 8)
    assert use["num_codes"] == 128
    assert use["used"] == 64 and use["share_used"] == 1.0
    assert use["entropy_bits"] == pytest.approx(6) == use["nominal_bits"]
    assert use["perplexity"] == pytest.approx(64)
    assert use["rank_counts"][0] == [1, 2] and use["rank_counts"][-1] == [64, 2]


def test_a_single_code():
    use = stream_use([np.full(4000, 7)], 8192, 4)
    assert (use["used"], use["perplexity"], use["entropy_bits"]) == (1, 1.0, 0.0)
    assert use["conditional_entropy_bits"] == 0.0
    assert use["rank_counts"] == [[1, 4000]]
    # The coder pays for learning it; the one with context learns as fast.
    assert 0 < use["adaptive_bits"] < 2.5
    assert 0 < use["adaptive_bits_given_previous"] < 0.5


def test_perplexity_is_bounded_by_the_number_of_codes():
    use = stream_use(drawn([100], np.full(8192, 1 / 8192)), 8192, 8)
    assert use["perplexity"] <= 100
    assert use["entropy_bits"] <= math.log2(100)
    # The true entropy is 13 bits. The adaptive coder is not fooled by the few codes.
    assert use["adaptive_bits"] == pytest.approx(13, abs=0.05)


def test_the_adaptive_coder_comes_close_to_the_entropy_from_above():
    shares = np.array([0.5, 0.25, 0.125, 0.125])
    streams = drawn([4000, 4000], shares)
    without, given_previous = adaptive_code_length(streams, 4, 1)
    assert 1.72 < without < 1.80
    # There is no memory in this source, so context gains nothing.
    assert without < given_previous < 1.85


def test_context_is_the_same_band_one_step_earlier():
    """Two bands that count up, with periods that share no factor: neither knows of the other."""
    steps = np.arange(240 * 12)
    bands = np.stack([steps % 16, steps % 15], axis=1)
    use = stream_use([bands.reshape(-1)], 16, 2)
    assert use["entropy_bits"] > 3.9
    assert use["conditional_entropy_bits"] < 0.6  # two successors only where a band starts again
    assert use["adaptive_bits_given_previous"] < 1.0
    assert use["adaptive_bits"] > 3.9
    mixed = stream_use([bands.reshape(-1)], 16, 1)  # the other band instead
    assert mixed["conditional_entropy_bits"] > 3.5
    assert mixed["adaptive_bits_given_previous"] > 3.5


def test_recordings_do_not_run_into_each_other():
    apart = stream_use([np.zeros(50, dtype=int), np.ones(50, dtype=int)], 2, 1)
    joined = stream_use([np.repeat([0, 1], 50)], 2, 1)
    assert apart["conditional_entropy_bits"] == 0.0
    assert joined["conditional_entropy_bits"] > 0.0


def test_recordings_of_one_time_step_have_no_context():
    use = stream_use([np.arange(8)], 8, 8)
    assert use["conditional_entropy_bits"] == 0.0
    assert use["adaptive_bits_given_previous"] == use["adaptive_bits"]


def test_the_curve_stays_short():
    counts = stream_use(drawn([50_000], np.full(8192, 1 / 8192)), 8192, 8)["rank_counts"]
    assert len(counts) <= MAX_RANKS
    ranks, values = np.array(counts).T
    assert (np.diff(ranks) > 0).all() and (np.diff(values) <= 0).all()


@pytest.fixture
def suite(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("speech/one", "speech/two", "music/three"):
        path = tmp_path / "clips" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, 16_000), 16_000)
    (tmp_path / "clips/music/broken.wav").write_text("not audio")
    return open_suite(tmp_path / "clips")


def test_a_suite_is_counted_per_domain_and_in_all(tiny_codec, suite):
    result = measure_code_use(tiny_codec, suite.clips, model_name="tiny", suite_name="clips")
    assert list(result["domains"]) == ["music", "speech", "all"]
    positions = 7 * 8  # of a second
    for domain, num_clips in (("music", 1), ("speech", 2), ("all", 3)):
        use = result["domains"][domain]
        assert use["num_clips"] == num_clips
        assert use["semantic"]["num_codes"] == use["acoustic"]["num_codes"] == positions * num_clips
    assert use["semantic"]["codebook_size"] == tiny_codec.semantic_vocab_size
    assert [failure["clip"] for failure in result["failures"]] == ["music/broken"]
    assert result["model"]["bits_per_second"] == tiny_codec.bitrate
    assert {"date", "machine", "versions"} <= result.keys()
    png = picture_bytes(draw_code_use(result), "png")
    assert 5_000 < len(png) < 150_000


def test_nothing_to_count_is_an_error(tiny_codec, suite):
    broken = [clip for clip in suite.clips if clip.name == "music/broken"]
    with pytest.raises(DataError, match=r"none of the clips of clips .* first music/broken: .*"):
        measure_code_use(tiny_codec, broken, model_name="tiny", suite_name="clips")

"""Operations are those that were measured on the official code, at the official sizes."""

import pytest

from benchmarks.modules.flops import FlopCount
from benchmarks.modules.inputs import CALLS, length_of
from conftest import random_codec
from semanticodec.checkpoints.official import official_config

# GFLOP of one window, counted on the official code.
OFFICIAL = {
    "audiomae": 97.0,
    "semantic": 3.2,
    "lstm": 212.6 + 2.4,
    "acoustic": 6.4,
    "context": 12.5,
    "unet": 53.2 - 12.5,
    "vae": 670.5,
    "vocoder": 1027.0,
}


@pytest.fixture(scope="module")
def official():
    return FlopCount(official_config(100, 4096))


@pytest.mark.parametrize("name", OFFICIAL)
def test_modules_of_official_size_cost_what_the_official_code_costs(official, name):
    assert official.of_window(name) / 1e9 == pytest.approx(OFFICIAL[name], abs=0.06)


def test_the_filter_bank_is_nearly_free(official):
    assert 0 < official.of_window("fbank") < 0.1e9


@pytest.mark.parametrize(("token_rate", "gflop"), [(50, 309.2 + 4.8), (25, 386.5 + 9.7)])
def test_acoustic_encoders_of_other_rates(token_rate, gflop):
    count = FlopCount(official_config(token_rate, 4096)).of_window("lstm") / 1e9
    assert count == pytest.approx(gflop, abs=0.1)


@pytest.mark.parametrize("token_rate", [25, 100])
def test_half_a_window_costs_half_or_less(token_rate):
    codec = random_codec(token_rate)
    count = FlopCount(codec.config)
    half = 512 // codec.config.encoder.stack_factor // 2
    for name in CALLS:
        share = count.of_window(name, half) / count.of_window(name)
        assert 0.2 < share < 0.53, name  # attention grows with the square of the length


def test_calls_count_their_windows_and_their_length(tiny_codec):
    count = FlopCount(tiny_codec.config)
    whole, half = count.of_window("vae"), count.of_window("vae", 256)
    assert count.of_call("vae", (3, 8, 256, 16)) == 3 * whole
    assert count.of_call("vae", (2, 8, 128, 16)) == 2 * half
    assert length_of("fbank", (1, 163_840), tiny_codec) == 512
    assert length_of("fbank", (1, 163_840 + 240), tiny_codec) == 512
    assert length_of("vocoder", (1, 512, 64), tiny_codec) == 256

"""The work behind the pages is what the codec does, in steps that can be shown and stopped."""

import numpy as np
import pytest

from semanticodec import Codes, SemantiCodec
from semanticodec.checkpoints.pretrained import choose_vocabulary
from semanticodec.config import tiny
from semanticodec.errors import ConfigError
from semanticodec.pages.codecs import NUM_KEPT, Codecs, offered_settings
from semanticodec.pages.coding import Decoding, code, compare, decode, rate_name


def finished(steps):
    """What a work returns, and how far it said to be on the way."""
    shares = []
    while True:
        try:
            shares.append(next(steps).share)
        except StopIteration as stop:
            return stop.value, shares


@pytest.fixture(scope="module")
def wav():
    return (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)


@pytest.fixture(scope="module")
def codecs(quick_codec):
    slow_rate = SemantiCodec(choose_vocabulary(tiny(25), None))
    loaded = {100: quick_codec, 25: slow_rate}
    settings = {rate: (codec.semantic_vocab_size,) for rate, codec in loaded.items()}
    return Codecs(settings, lambda rate, size: loaded[rate])


def test_the_result_is_the_codecs_own(codecs, quick_codec, wav):
    coding, shares = finished(code(codecs, wav, 100, None, Decoding(seed=3)))
    codes = quick_codec.encode(wav)
    assert coding.codes == codes == Codes.load(coding.stored)
    assert np.array_equal(coding.wav, quick_codec.decode(codes, seed=3)[0, 0].numpy())
    assert coding.num_tokens == codes.interleaved().shape[1]
    assert coding.kbps == len(coding.stored) * 8 / 500  # half a second
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1


def test_codes_alone_decode_to_the_same(codecs, wav):
    coding, _ = finished(code(codecs, wav, 100, None, Decoding()))
    again, _ = finished(decode(codecs, Codes.load(coding.stored), Decoding()))
    assert np.array_equal(again.wav, coding.wav)
    assert again.encode_s is None


def test_a_comparison_has_all_rates_the_highest_first(codecs, wav):
    codings, shares = finished(compare(codecs, wav, Decoding()))
    assert [rate_name(coding) for coding in codings] == ["100 tokens/s", "25 tokens/s"]
    assert [len(coding.wav) for coding in codings] == [8000, 8000]
    assert shares == sorted(shares)


def test_work_that_is_not_asked_on_stops(codecs, quick_codec, wav, monkeypatch):
    calls = []
    monkeypatch.setattr(SemantiCodec, "encode", lambda *_: calls.append("encode"))
    steps = code(codecs, wav, 100, None, Decoding())
    next(steps)  # loads the model
    next(steps)
    steps.close()
    assert calls == []


def test_codecs_are_loaded_once_and_the_oldest_is_given_up():
    loads = []
    offered = dict.fromkeys(range(1, NUM_KEPT + 2), (16, 32))
    codecs = Codecs(offered, lambda *setting: loads.append(setting) or object())
    first = codecs.get(1)
    assert codecs.get(1, 32) is first and loads == [(1, 32)]  # the largest vocabulary
    assert codecs.get(1, 16) is not first
    for rate in list(offered)[1:]:
        codecs.get(rate)
    assert codecs.get(1) is not first
    with pytest.raises(ConfigError, match=r"7 tokens per second; the model offers 5, 4, 3, 2, 1"):
        codecs.get(7)


def test_settings_are_read_from_the_model(tiny_folder, tiny_codec):
    assert offered_settings(tiny_folder) == {100: (tiny_codec.semantic_vocab_size,)}

"""The adapter against Codec-SUPERB's base class as its description has it."""

import sys
import types
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from semanticodec.errors import MissingDependencyError

ADAPTER = "semanticodec.adapters.codec_superb"


@dataclass
class ExtractedUnit:
    unit: Any
    stuff_for_synth: Any


@dataclass
class BatchExtractedUnit:
    units: list
    stuff_for_synth: list


class BaseCodec:
    def __init__(self):
        self.config()

    def synth(self, data, local_save=True):
        unit = self.extract_unit(data)
        return {
            **data,
            "unit": unit.unit,
            "audio": {"array": self.decode_unit(unit.stuff_for_synth)},
        }


@pytest.fixture
def adapter(monkeypatch, quick_codec, tmp_path):
    general = types.ModuleType("SoundCodec.base_codec.general")
    general.BaseCodec, general.ExtractedUnit = BaseCodec, ExtractedUnit
    general.BatchExtractedUnit = BatchExtractedUnit
    for name in ("SoundCodec", "SoundCodec.base_codec"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, general.__name__, general)
    monkeypatch.delitem(sys.modules, ADAPTER, raising=False)
    from semanticodec.adapters.codec_superb import Codec

    class Tiny(Codec):
        source, device = str(quick_codec.save_pretrained(tmp_path)), "cpu"

    yield Tiny()
    del sys.modules[ADAPTER]


def item(num_samples, seed, rate=16_000):
    wav = np.random.default_rng(seed).normal(0, 0.1, num_samples)
    return {"id": str(seed), "audio": {"array": wav, "sampling_rate": rate}}


def test_units_are_the_codes_and_decode_to_the_length(adapter, quick_codec):
    data = item(3000, 0)
    found = adapter.extract_unit(data)
    expected = quick_codec.encode(data["audio"]["array"])
    assert found.unit.equal(expected.stacked()[0]) and found.unit.shape == (2, 16)
    assert adapter.sampling_rate == 16_000
    decoded = adapter.synth(data)["audio"]["array"]
    assert decoded.shape == (3000,)
    assert np.array_equal(decoded, quick_codec.decode(expected)[0, 0].numpy())


def test_batches_give_what_single_items_give(adapter):
    items = [item(3000, 0), item(9000, 1, rate=48_000)]
    batch = adapter.batch_extract_unit(items)
    for unit, data in zip(batch.units, items, strict=True):
        assert unit.equal(adapter.extract_unit(data).unit)
    wavs = adapter.batch_decode_unit(batch.stuff_for_synth)
    assert [wav.shape for wav in wavs] == [(3000,), (3000,)]
    for wav, stuff in zip(wavs, batch.stuff_for_synth, strict=True):
        np.testing.assert_allclose(wav, adapter.decode_unit(stuff), atol=1e-5)


def test_without_the_benchmark_it_says_so():
    sys.modules.pop(ADAPTER, None)
    with pytest.raises(MissingDependencyError, match="run it in a clone of"):
        __import__(ADAPTER)

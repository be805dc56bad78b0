"""A tiny codec that is quick on short recordings, as a model of transformers."""

from dataclasses import replace

import pytest

pytest.importorskip("transformers")

from conftest import random_codec
from semanticodec import SamplingConfig, SemantiCodec
from semanticodec.hf import SemantiCodecFeatureExtractor, SemantiCodecModel


@pytest.fixture(scope="session")
def quick_codec():
    codec = random_codec()
    decoder = replace(codec.config.decoder, sampling=SamplingConfig(num_steps=1))
    quick = SemantiCodec(replace(codec.config, decoder=decoder, pads_windows=False))
    quick.load_state_dict(codec.state_dict())
    return quick


@pytest.fixture(scope="session")
def model(quick_codec):
    return SemantiCodecModel.from_codec(quick_codec)


@pytest.fixture(scope="session")
def extractor(model):
    return SemantiCodecFeatureExtractor(hop_length=model.config.hop_length)

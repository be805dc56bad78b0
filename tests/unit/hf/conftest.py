"""The quick codec as a model of transformers."""

import pytest

pytest.importorskip("transformers")

from semanticodec.hf import SemantiCodecFeatureExtractor, SemantiCodecModel


@pytest.fixture(scope="session")
def model(quick_codec):
    return SemantiCodecModel.from_codec(quick_codec)


@pytest.fixture(scope="session")
def extractor(model):
    return SemantiCodecFeatureExtractor(hop_length=model.config.hop_length)

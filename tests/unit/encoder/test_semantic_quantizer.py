"""Semantic quantizer: nearest centroid of the vocabulary asked for, and its way back."""

import pytest
import torch

from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.errors import CodesError, ConfigError


@pytest.fixture
def quantizer():
    torch.manual_seed(0)
    module = SemanticQuantizer(SemanticQuantizer.Config(width=6, vocab_sizes=(16, 32)))
    for buffer in module.buffers():
        buffer.normal_()
    return module


@pytest.mark.parametrize("vocab_size", [16, 32])
def test_centroids_come_back_as_their_own_codes(quantizer, vocab_size):
    codes = torch.arange(vocab_size).view(2, -1)
    features = quantizer.decode(codes, vocab_size)
    assert features.shape == (2, vocab_size // 2, 6)
    assert torch.equal(quantizer.encode(features, vocab_size), codes)


def test_codebooks_are_buffers_and_nothing_is_trained(quantizer):
    assert set(quantizer.state_dict()) == {"codebook_16", "codebook_32"}
    assert not list(quantizer.parameters())


def test_unknown_vocabulary_names_those_there_are(quantizer):
    with pytest.raises(ConfigError, match=r"no semantic vocabulary of 64 .* 16, 32"):
        quantizer.encode(torch.zeros(1, 2, 6), 64)
    with pytest.raises(ConfigError, match=r"no semantic vocabulary of 64 .* 16, 32"):
        quantizer.decode(torch.zeros(1, 2, dtype=torch.int64), 64)


def test_codes_of_a_larger_vocabulary_are_refused(quantizer):
    with pytest.raises(CodesError, match="semantic codes run from 0 to 31"):
        quantizer.decode(torch.arange(32).view(1, -1), 16)


def test_loading_takes_only_the_vocabularies_configured(quantizer):
    smaller = SemanticQuantizer(SemanticQuantizer.Config(width=6, vocab_sizes=(16,)))
    wrapped = torch.nn.ModuleDict({"semantic": smaller})
    state = {f"semantic.{key}": value for key, value in quantizer.state_dict().items()}
    wrapped.load_state_dict(state, strict=True)
    assert torch.equal(smaller.codebook(16), quantizer.codebook(16))
    assert len(state) == 2  # the caller's dictionary is left alone


def test_loading_still_misses_what_is_not_there(quantizer):
    larger = SemanticQuantizer(SemanticQuantizer.Config(width=6, vocab_sizes=(16, 64)))
    with pytest.raises(RuntimeError, match="codebook_64"):
        larger.load_state_dict(quantizer.state_dict())

"""Laws of every quantizer in the table: what codes, files, the T-UNet and the training rely on."""

import dataclasses
import json

import pytest
import torch

from semanticodec.codec import SemantiCodec
from semanticodec.codes import Codes
from semanticodec.config import CodecConfig, config_from_dict, config_to_dict, tiny
from semanticodec.encoder.quantizer import QuantizerConfig, count_codes, perplexity
from semanticodec.encoder.quantizers import QUANTIZERS, make_quantizer
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import CodesError

WIDTH = 24
every_quantizer = pytest.mark.parametrize("name", QUANTIZERS)


def quantizer_of(name):
    torch.manual_seed(0)
    return make_quantizer(QUANTIZERS[name].Config(width=WIDTH))


def vectors_of(batch, length=12):
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, length, WIDTH, generator=generator)


@every_quantizer
def test_a_code_is_one_integer_and_stands_for_one_vector(name):
    quantizer, vectors = quantizer_of(name).eval(), vectors_of(3)
    assert isinstance(quantizer.config, QuantizerConfig)
    codes = quantizer.encode(vectors)
    assert codes.dtype == torch.int64 and codes.shape == (3, 12)
    assert codes.min() >= 0 and codes.max() < quantizer.config.codebook_size
    quantized = quantizer.decode(codes)
    assert quantized.shape == vectors.shape and quantized.dtype == torch.float32
    output = quantizer(vectors)
    assert torch.equal(output.codes, codes)
    torch.testing.assert_close(output.quantized, quantized)


@every_quantizer
def test_no_code_depends_on_another_position_or_item(name):
    quantizer, vectors = quantizer_of(name).eval(), vectors_of(5)
    together = quantizer.encode(vectors)
    for item in range(5):
        assert torch.equal(quantizer.encode(vectors[item : item + 1])[0], together[item])
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantizer.encode(vectors[:, order]), together[:, order])
    assert torch.equal(quantizer.decode(together)[:, order], quantizer.decode(together[:, order]))


@every_quantizer
def test_training_reaches_the_acoustic_encoder(name):
    quantizer, vectors = quantizer_of(name).train(), vectors_of(2).requires_grad_()
    generators = [torch.Generator().manual_seed(item) for item in range(2)]
    output = quantizer(vectors, generators)
    assert all(loss.ndim == 0 and loss.isfinite() for loss in output.losses.values())
    output.quantized.square().sum().backward()
    assert vectors.grad is not None and (vectors.grad != 0).any()


@every_quantizer
def test_codes_out_of_range_are_refused(name):
    quantizer = quantizer_of(name)
    size = quantizer.config.codebook_size
    with pytest.raises(CodesError, match=f"acoustic codes run from {size} to {size}"):
        quantizer.decode(torch.tensor([[size]]))


@every_quantizer
def test_starting_from_vectors_needs_no_particular_vectors(name):
    quantizer = quantizer_of(name).eval()
    for vectors in (vectors_of(4).flatten(0, 1), torch.ones(40, WIDTH)):
        quantizer.start_from(vectors, torch.Generator().manual_seed(0))
        assert all(value.isfinite().all() for value in quantizer.state_dict().values())
        assert quantizer.decode(quantizer.encode(vectors_of(2))).isfinite().all()


@every_quantizer
def test_a_codec_with_it_is_saved_and_loaded_and_writes_files(name, tmp_path):
    config = tiny()
    small = dataclasses.replace(QUANTIZERS[name].Config(), width=config.encoder.width)
    encoder = dataclasses.replace(config.encoder, quantizer=small)
    semantic = dataclasses.replace(encoder.semantic, vocab_sizes=(64,))
    config = dataclasses.replace(config, encoder=dataclasses.replace(encoder, semantic=semantic))
    values = json.loads(json.dumps(config_to_dict(config)))
    assert values["encoder"]["quantizer"]["class"] == name
    assert config_from_dict(CodecConfig, values) == config
    codec = SemantiCodec.from_pretrained(SemantiCodec(config).save_pretrained(tmp_path / "model"))
    codes = codec.encode(0.1 * torch.randn(5000))
    codes.save(tmp_path / "a.smtc")
    assert torch.equal(codec.decode(Codes.load(tmp_path / "a.smtc")), codec.decode(codes))


def test_a_config_from_before_there_was_a_choice_is_a_vector_quantizer_s():
    values = config_to_dict(tiny())
    assert values["encoder"]["quantizer"].pop("class") == "vector"
    assert isinstance(
        config_from_dict(CodecConfig, values).encoder.quantizer, VectorQuantizer.Config
    )


def test_counts_leave_padding_out_and_perplexity_is_the_number_of_equally_used_codes():
    codes = torch.tensor([[0, 1, 2, 3], [0, 1, 5, 5]])
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    assert count_codes(codes, mask, 6).tolist() == [2, 2, 1, 1, 0, 0]
    assert perplexity(torch.tensor([3.0, 3.0, 0.0])).item() == pytest.approx(2.0)
    assert perplexity(torch.zeros(3)).item() == 1.0

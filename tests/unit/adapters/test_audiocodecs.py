"""The methods of audiocodecs: shapes, relative lengths, and laws between them."""

import pytest
import torch

from semanticodec.adapters.audiocodecs import AudioCodec
from semanticodec.errors import AudioError, CodesError, ConfigError


@pytest.fixture(scope="module")
def codec(quick_codec):
    return quick_codec


@pytest.fixture(scope="module")
def adapter(codec):
    return AudioCodec(codec)


@pytest.fixture(scope="module")
def sig():
    return 0.1 * torch.randn(2, 5000, generator=torch.Generator().manual_seed(0))


def test_tokens_are_those_of_the_codec(adapter, codec, sig):
    toks = adapter.sig_to_toks(sig)
    assert toks.shape == (2, 16, 2)
    assert torch.equal(toks, codec.encode(list(sig)).paired())


def test_relative_lengths_are_those_of_the_real_signals(adapter, codec, sig):
    toks = adapter.sig_to_toks(sig, torch.tensor([1.0, 0.4]))
    alone = codec.encode(sig[1, :2000]).paired()[0]
    assert torch.equal(toks[1, :8], alone)
    assert not toks[1, 8:].any()
    decoded = adapter.toks_to_sig(toks, torch.tensor([1.0, 0.4]))
    assert decoded.shape == (2, 5120)
    assert decoded[1, :2560].any() and not decoded[1, 2560:].any()


def test_quantized_features_are_the_codebooks_rows(adapter, codec, sig):
    toks, embeddings = adapter.sig_to_toks(sig), adapter.embs()
    assert embeddings.shape == (2, 128, 8)  # 128 semantic and 64 acoustic codes
    assert not embeddings[1, 64:].any()
    rows = torch.cat([embeddings[k][toks[..., k]] for k in range(2)], dim=-1)
    torch.testing.assert_close(adapter.toks_to_qfeats(toks), rows)
    torch.testing.assert_close(adapter.sig_to_qfeats(sig), rows)
    assert adapter.sig_to_feats(sig).shape == rows.shape
    assert not torch.allclose(adapter.sig_to_feats(sig), rows)


def test_features_and_tokens_decode_to_the_same_signal(adapter, codec, sig):
    toks = adapter.sig_to_toks(sig[:1])
    decoded = adapter.toks_to_sig(toks)
    torch.testing.assert_close(
        adapter.feats_to_sig(adapter.toks_to_qfeats(toks)), decoded, rtol=0, atol=1e-5
    )
    again = adapter(sig[:1])
    assert torch.equal(again, decoded[:, :5000])
    assert torch.equal(AudioCodec(codec, mode="encode")(sig[:1]), toks)
    # A language model may stop inside a column.
    assert AudioCodec(codec, mode="decode")(toks[:, :15]).shape == (1, 2560)


def test_another_rate_is_resampled_on_both_sides(codec):
    tone = 0.3 * torch.sin(torch.arange(24_000) * 2 * torch.pi * 440 / 48_000)[None]
    adapter = AudioCodec(codec, sample_rate=48_000)
    toks = adapter.sig_to_toks(tone)
    assert torch.equal(toks, codec.encode(tone[0], 48_000).paired())
    assert adapter(tone).shape == tone.shape
    assert adapter.toks_to_sig(toks).shape == (1, 4 * 2560 * 3)


@pytest.mark.usefixtures("unchecked_shapes")
def test_wrong_input_is_explained(adapter, codec, sig):
    with pytest.raises(ConfigError, match="mode is 'both'; choose one of encode"):
        AudioCodec(codec, mode="both")
    with pytest.raises(AudioError, match=r"\[5000\]; give \[B, T\]"):
        adapter.sig_to_toks(sig[0])
    with pytest.raises(CodesError, match="7 positions are no whole column; give at least 8"):
        adapter.toks_to_sig(torch.zeros(1, 7, 2, dtype=torch.long))
    with pytest.raises(ConfigError, match="one for each of 2 items"):
        adapter.sig_to_toks(sig, torch.tensor([1.0]))

"""Compiled modules compute what they computed before; what is missing is named."""

import shutil

import pytest
import torch

from semanticodec import SemantiCodec
from semanticodec.errors import ConfigError, MissingDependencyError
from semanticodec.runtimes import use_runtime


def test_a_missing_compiler_is_named(monkeypatch, tiny_codec):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(MissingDependencyError, match=r"needs a C\+\+ compiler.*install g\+\+"):
        use_runtime(tiny_codec, "compiled")


def test_runtimes_have_names(tiny_codec):
    with pytest.raises(ConfigError, match=r"'tensorrt'; choose one of torch, compiled, onnx"):
        use_runtime(tiny_codec, "tensorrt")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_modules_agree_with_eager_ones(tiny_codec, tiny_folder):
    compiled = SemantiCodec.from_pretrained(tiny_folder)
    use_runtime(compiled, "compiled")
    wav = 0.1 * torch.randn(20_000)
    codes = compiled.encode(wav)
    assert torch.equal(codes.stacked(), tiny_codec.encode(wav).stacked())
    expected = tiny_codec.decode(codes, num_steps=2)
    error = (compiled.decode(codes, num_steps=2) - expected).abs().max()
    assert expected.abs().max() > 0 and error < 1e-4 * expected.abs().max()
    assert compiled.state_dict().keys() == tiny_codec.state_dict().keys()

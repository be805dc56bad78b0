"""Fixtures that several tests share: a tiny codec with random weights, and its folder."""

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

# Before the package's first import: it decorates functions as their modules are loaded.
install_import_hook("semanticodec", "shape_checks.checked")

from semanticodec import SemantiCodec
from semanticodec.checkpoints.pretrained import choose_vocabulary
from semanticodec.config import tiny


def random_codec(token_rate: int = 100) -> SemantiCodec:
    """Return a tiny codec whose codebooks and weights are random, the same every time."""
    generator = torch.Generator().manual_seed(token_rate)
    codec = SemantiCodec(choose_vocabulary(tiny(token_rate), None))
    with torch.no_grad():
        for name, tensor in codec.state_dict().items():
            if tensor.is_floating_point() and "schedule" not in name and "scale" not in name:
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return codec


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the tiny codec at 100 tokens per second."""
    return random_codec().save_pretrained(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_codec(tiny_folder: Path) -> SemantiCodec:
    """The tiny codec as users load it."""
    return SemantiCodec.from_pretrained(tiny_folder)

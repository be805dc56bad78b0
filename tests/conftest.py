"""Shapes are checked, guards stand in all tests; and what several share: a tiny codec."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jaxtyping
import pytest
import torch

import guards

# Before the package's first import: the hook decorates functions as their modules are loaded. Only
# in this process, since the start of those that tests open is itself tested for being quick.
jaxtyping.install_import_hook("semanticodec", "shape_checks.checked")

guards.install()

from semanticodec import SamplingConfig, SemantiCodec
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


@pytest.fixture(autouse=True)
def _nothing_forbidden() -> Iterator[None]:
    """Fail the test in which the package unpickles or reaches another machine."""
    with guards.nothing_forbidden():
        yield


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the tiny codec at 100 tokens per second."""
    return random_codec().save_pretrained(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_codec(tiny_folder: Path) -> SemantiCodec:
    """The tiny codec as users load it."""
    return SemantiCodec.from_pretrained(tiny_folder)


@pytest.fixture(scope="session")
def quick_codec() -> SemantiCodec:
    """The tiny codec with windows as short as the recording and one step."""
    codec = random_codec()
    decoder = replace(codec.config.decoder, sampling=SamplingConfig(num_steps=1))
    quick = SemantiCodec(replace(codec.config, decoder=decoder, pads_windows=False))
    quick.load_state_dict(codec.state_dict())
    return quick


@contextmanager
def shapes_left_unchecked() -> Iterator[None]:
    """Check no shapes for a while."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Let a test hand over arrays of wrong shapes, to see what the package itself answers.

    Or let it trace the modules: every shape that is looked at joins the graph, and the time for a
    graph grows with its square.
    """
    with shapes_left_unchecked():
        yield

"""Codecs with the rule's weights at 100 tokens per second, loaded through official files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from golden_models import DECODER_NETWORKS, ENCODER_NETWORKS, Remembered, load, write_official
from semanticodec import SemantiCodec


@pytest.fixture(scope="session")
def encoder_folder() -> Iterator[Path]:
    """Official files whose decoder is empty: half the weights, half the time."""
    # Not pytest's own folder: it keeps the last three, and these files are large.
    with TemporaryDirectory(prefix="semanticodec-", ignore_cleanup_errors=True) as folder:
        yield write_official(Path(folder), 100, decoder_zeros=DECODER_NETWORKS)


@pytest.fixture(scope="session")
def encoding_codec(encoder_folder: Path) -> SemantiCodec:
    return load(encoder_folder)


@pytest.fixture(scope="session")
def decoding_codec() -> SemantiCodec:
    """A codec whose AudioMAE and LSTM are empty, and whose decoder computes nothing twice."""
    with TemporaryDirectory(prefix="semanticodec-", ignore_cleanup_errors=True) as folder:
        codec = load(write_official(Path(folder), 100, encoder_zeros=ENCODER_NETWORKS))
    for module in (codec.decoder.unet, codec.decoder.vae, codec.decoder.vocoder):
        Remembered(module)
    return codec

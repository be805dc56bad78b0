"""Codecs with the rule's weights at 100 tokens per second, loaded through official files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from golden_models import DECODER_NETWORKS, ENCODER_NETWORKS, load, write_official
from semanticodec import SemantiCodec


@pytest.fixture(scope="session")
def encoder_folder() -> Iterator[Path]:
    """Official files whose decoder is empty: half the weights, half the time."""
    # Not pytest's own folder: it keeps the last three, and these files are large.
    with TemporaryDirectory(prefix="semanticodec-", ignore_cleanup_errors=True) as folder:
        yield write_official(
            Path(folder), 100, vocab_sizes=(4096, 32768), decoder_zeros=DECODER_NETWORKS
        )


@pytest.fixture(scope="session")
def encoding_codec(encoder_folder: Path) -> SemantiCodec:
    return load(encoder_folder)


@pytest.fixture(scope="session")
def decoding_codec() -> Iterator[SemantiCodec]:
    """A codec whose AudioMAE and LSTM are empty."""
    with TemporaryDirectory(prefix="semanticodec-", ignore_cleanup_errors=True) as folder:
        yield load(write_official(Path(folder), 100, encoder_zeros=ENCODER_NETWORKS))

"""Codecs with the rule's weights, loaded through the three official files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from golden_weights import SALT, manifest, rule_codebook, rule_state_dict
from semanticodec import SemantiCodec

ENCODER_NETWORKS = ("audiomae.", "encoder.")
DECODER_NETWORKS = ("model.", "first_stage_model.")


def write_official(
    folder: Path,
    token_rate: int,
    *,
    vocab_sizes: tuple[int, ...] = (4096,),
    encoder_zeros: tuple[str, ...] = (),
    decoder_zeros: tuple[str, ...] = (),
) -> Path:
    """Write encoder.ckpt, decoder.ckpt and codebook_<size>.npy; parts named as zeros take no room."""
    for file, zeros in (("encoder", encoder_zeros), ("decoder", decoder_zeros)):
        state = rule_state_dict(SALT, file, manifest(token_rate), zeros=zeros)
        torch.save(state, folder / f"{file}.ckpt")
    for size in vocab_sizes:
        np.save(folder / f"codebook_{size}.npy", rule_codebook(SALT, token_rate, size))
    return folder


def load(folder: Path, token_rate: int = 100, vocab_size: int = 4096) -> SemantiCodec:
    return SemantiCodec.from_official(
        encoder=folder / "encoder.ckpt",
        decoder=folder / "decoder.ckpt",
        codebook=folder / f"codebook_{vocab_size}.npy",
        token_rate=token_rate,
    )


@pytest.fixture(scope="session")
def encoder_folder() -> Iterator[Path]:
    """Files at 100 tokens per second whose decoder is empty: half the weights, half the time."""
    # Not pytest's own folder: it keeps the last three, and these are large.
    with TemporaryDirectory(prefix="semanticodec-", ignore_cleanup_errors=True) as folder:
        yield write_official(
            Path(folder), 100, vocab_sizes=(4096, 32768), decoder_zeros=DECODER_NETWORKS
        )


@pytest.fixture(scope="session")
def encoding_codec(encoder_folder: Path) -> SemantiCodec:
    return load(encoder_folder)


@pytest.fixture(scope="session")
def decoding_codec() -> Iterator[SemantiCodec]:
    """A codec at 100 tokens per second whose AudioMAE and LSTM are empty."""
    with TemporaryDirectory(prefix="semanticodec-", ignore_cleanup_errors=True) as folder:
        yield load(write_official(Path(folder), 100, encoder_zeros=ENCODER_NETWORKS))

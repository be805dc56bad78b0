"""Laws: what is on the grid is held exactly by int8, float16 and float32; codes do not change."""

from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from conftest import random_codec
from semanticodec.checkpoints.codebook_grid import (
    SCALE_SUFFIX,
    from_int8,
    round_to_grid,
    to_int8,
)
from semanticodec.checkpoints.pretrained import read_weights, stored, write_model
from semanticodec.config import CodecConfig
from semanticodec.encoder.nearest import nearest_codes
from semanticodec.errors import CheckpointError

CODEBOOKS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-100.0, 100.0, width=16),
)
KEY = "encoder.semantic.codebook_16"


@given(CODEBOOKS)
def test_grid_is_exact_in_every_precision(values):
    rounded = round_to_grid(torch.from_numpy(values))
    stored = to_int8(rounded)
    assert stored is not None
    assert torch.equal(from_int8(*stored), rounded)
    assert torch.equal(round_to_grid(rounded), rounded)


@given(CODEBOOKS)
def test_rounding_is_within_half_a_step(values):
    codebook = torch.from_numpy(values)
    peaks = codebook.abs().amax(dim=0)
    # 7 bits at least: a step is at most a 64th of the column's largest value.
    assert ((round_to_grid(codebook) - codebook).abs() <= peaks / 127 + 1e-7).all()


def test_float16_holds_the_grid():
    codebook = round_to_grid(torch.randn(64, 8, generator=torch.Generator().manual_seed(0)) * 20)
    assert torch.equal(codebook.half().float(), codebook)


def test_off_the_grid_stays_float():
    assert to_int8(torch.randn(64, 8, generator=torch.Generator().manual_seed(0))) is None
    assert to_int8(torch.tensor([[float("nan")]])) is None


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("scales", [None, torch.ones(3), torch.tensor([1.0, float("inf")])])
def test_scales_that_do_not_fit(scales):
    with pytest.raises(CheckpointError, match=r"codebook of shape \(4, 2\) in 8 bits needs one"):
        from_int8(torch.zeros(4, 2, dtype=torch.int8), scales)


def _state(codebook):
    return {KEY: codebook, "encoder.other": torch.full((2,), 0.1)}


@pytest.fixture
def sixteen_entries() -> CodecConfig:
    config = random_codec().config
    semantic = replace(config.encoder.semantic, vocab_sizes=(16,))
    return replace(config, encoder=replace(config.encoder, semantic=semantic))


def test_small_folders_hold_codebooks_in_8_bits(tmp_path, sixteen_entries):
    generator = torch.Generator().manual_seed(1)
    codebook = round_to_grid(torch.randn(16, 8, generator=generator))
    folder = write_model(tmp_path, sixteen_entries, _state(codebook), dtype=torch.float16)
    stored = load_file(folder / "model.safetensors")
    assert stored[KEY].dtype == torch.int8
    read = read_weights([folder / "model.safetensors"], sixteen_entries)
    assert set(read) == {KEY, "encoder.other"}
    assert torch.equal(read[KEY], codebook)
    features = torch.randn(2, 40, 8, generator=generator)
    assert torch.equal(nearest_codes(features, read[KEY]), nearest_codes(features, codebook))


@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_full_folders_hold_codebooks_as_they_are(tmp_path, sixteen_entries, dtype):
    codebook = round_to_grid(torch.randn(16, 8, generator=torch.Generator().manual_seed(1)))
    folder = write_model(tmp_path, sixteen_entries, _state(codebook), dtype=dtype)
    assert load_file(folder / "model.safetensors")[KEY].dtype == torch.float32


def test_lost_scales_are_an_error(tmp_path, sixteen_entries):
    path = tmp_path / "model.safetensors"
    save_file({KEY: torch.zeros(16, 8, dtype=torch.int8)}, path)
    with pytest.raises(CheckpointError, match="the file has none"):
        read_weights([path], sixteen_entries)


def test_storing_twice_changes_nothing():
    codebook = round_to_grid(torch.randn(16, 8, generator=torch.Generator().manual_seed(1)) * 1e-6)
    once = stored({KEY: codebook}, torch.float16)
    twice = stored(once, torch.float16)
    assert set(once) == set(twice) == {KEY, KEY + SCALE_SUFFIX}
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert torch.equal(from_int8(twice[KEY], twice[KEY + SCALE_SUFFIX]), codebook)

"""Laws: small files lack the sums of acoustic codebooks, and what is read has them all the same."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from conftest import random_codec
from semanticodec import SemantiCodec
from semanticodec.checkpoints.codebook_sums import (
    COUNTS,
    SUMS,
    VECTORS,
    with_sums,
    with_sums_shape,
    without_sums,
)


def weights() -> dict[str, torch.Tensor]:
    vectors, counts = torch.arange(6.0).reshape(3, 2), torch.tensor([1.0, 0.5, 4.0])
    return {VECTORS: vectors, COUNTS: counts, "decoder.x": torch.ones(1)}


def trained_codec() -> SemantiCodec:
    codec = random_codec()
    quantizer = codec.state_dict()
    quantizer[SUMS].copy_(quantizer[VECTORS] * quantizer[COUNTS].unsqueeze(1))
    return codec


def test_sums_are_vectors_times_counts() -> None:
    whole = with_sums(weights())
    assert torch.equal(whole[SUMS], torch.tensor([[0.0, 1.0], [1.0, 1.5], [16.0, 20.0]]))
    assert without_sums(whole).keys() == weights().keys()


def test_sums_that_are_there_stay() -> None:
    own = {**weights(), SUMS: torch.zeros(3, 2)}
    assert with_sums(own) is own
    assert with_sums_shape({SUMS: (3, 2)}) == {SUMS: (3, 2)}


def test_sums_that_nothing_tells_stay_in_the_file() -> None:
    for others in ({SUMS: torch.zeros(3, 2)}, {**weights(), SUMS: torch.ones(3, 2)}):
        assert without_sums(others).keys() == others.keys()


def test_other_quantizers_have_none() -> None:
    other = {"encoder.quantizer.levels": torch.ones(3)}
    assert with_sums(other) is other
    assert with_sums_shape({"encoder.quantizer.levels": (3,)}) == {"encoder.quantizer.levels": (3,)}


def test_wrong_shapes_are_left_to_the_check_of_shapes() -> None:
    wrong = {VECTORS: torch.ones(3), COUNTS: torch.ones(3)}
    assert with_sums(wrong) is wrong


def test_half_files_lack_them_and_full_files_keep_them(tmp_path: Path) -> None:
    codec = trained_codec()
    half = codec.save_pretrained(tmp_path / "half", dtype=torch.float16)
    full = codec.save_pretrained(tmp_path / "full")
    assert SUMS not in load_file(half / "model.safetensors")
    assert SUMS in load_file(full / "model.safetensors")


def test_a_half_file_written_again_is_the_same(tmp_path: Path) -> None:
    half = trained_codec().save_pretrained(tmp_path / "half", dtype=torch.float16)
    codec = SemantiCodec.from_pretrained(half)
    again = codec.save_pretrained(tmp_path / "again", dtype=torch.float16)
    files = [(folder / "model.safetensors").read_bytes() for folder in (half, again)]
    assert files[0] == files[1]
    quantizer = codec.state_dict()
    assert torch.equal(quantizer[SUMS], quantizer[VECTORS] * quantizer[COUNTS].unsqueeze(1))

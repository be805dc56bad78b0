"""Layouts and files round-trip; codes that do not fit together are refused."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticodec.codes import Codes
from semanticodec.errors import CodesError, ContainerError
from semanticodec.token_format import TokenGrid

ONE_SECOND = 16000


def random_codes(
    num_samples: tuple[int, ...],
    token_rate: int = 50,
    semantic_vocab_size: int = 4096,
    acoustic_vocab_size: int = 8192,
    seed: int = 0,
) -> Codes:
    generator = torch.Generator().manual_seed(seed)
    shape = (len(num_samples), TokenGrid(token_rate).num_positions(max(num_samples)))
    return Codes(
        semantic=torch.randint(semantic_vocab_size, shape, generator=generator),
        acoustic=torch.randint(acoustic_vocab_size, shape, generator=generator),
        num_samples=num_samples,
        token_rate=token_rate,
        semantic_vocab_size=semantic_vocab_size,
        acoustic_vocab_size=acoustic_vocab_size,
        fingerprint=b"model id",
    )


any_codes = st.builds(
    random_codes,
    num_samples=st.lists(st.integers(1, 400_000), min_size=1, max_size=4).map(tuple),
    token_rate=st.sampled_from([25, 50, 100]),
    semantic_vocab_size=st.sampled_from([2, 4096, 32768, 65536]),
    acoustic_vocab_size=st.sampled_from([2, 8192, 65536]),
    seed=st.integers(0, 1000),
)


# --- layouts ---


@settings(max_examples=50, deadline=None)
@given(codes=any_codes, offset=st.booleans())
def test_every_layout_has_its_inverse(codes: Codes, offset: bool) -> None:
    model = {
        "num_samples": codes.num_samples,
        "token_rate": codes.token_rate,
        "semantic_vocab_size": codes.semantic_vocab_size,
        "acoustic_vocab_size": codes.acoustic_vocab_size,
        "fingerprint": codes.fingerprint,
    }
    assert Codes.from_stacked(codes.stacked(), **model) == codes
    assert Codes.from_paired(codes.paired(), **model) == codes
    flat = codes.interleaved(offset=offset)
    assert Codes.from_interleaved(flat, offset=offset, **model) == codes


def test_layouts_by_hand() -> None:
    codes = Codes(
        semantic=torch.tensor([[1, 2, 3, 4]]),
        acoustic=torch.tensor([[5, 6, 7, 8]]),
        num_samples=(100,),
        token_rate=25,
        semantic_vocab_size=10,
        acoustic_vocab_size=20,
    )
    assert codes.stacked().tolist() == [[[1, 2, 3, 4], [5, 6, 7, 8]]]
    assert codes.paired().tolist() == [[[1, 5], [2, 6], [3, 7], [4, 8]]]
    assert codes.interleaved().tolist() == [[1, 15, 2, 16, 3, 17, 4, 18]]
    assert codes.interleaved(offset=False).tolist() == [[1, 5, 2, 6, 3, 7, 4, 8]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32])
def test_small_integer_types_become_int64(dtype: torch.dtype) -> None:
    ids = torch.arange(8).to(dtype)[None]
    codes = Codes.from_interleaved(
        ids, token_rate=25, semantic_vocab_size=300, acoustic_vocab_size=8, offset=False
    )
    assert codes.semantic.dtype == codes.acoustic.dtype == torch.int64
    assert codes.acoustic.tolist() == [[1, 3, 5, 7]]


def test_unknown_lengths_fill_the_positions() -> None:
    codes = Codes.from_stacked(
        torch.zeros(3, 2, 16, dtype=torch.int64),
        token_rate=100,
        semantic_vocab_size=4096,
        acoustic_vocab_size=8192,
    )
    assert codes.num_samples == (5120, 5120, 5120)


def test_ids_without_their_offset_are_refused() -> None:
    codes = random_codes((ONE_SECOND,))
    model: dict[str, Any] = {
        "token_rate": 50,
        "semantic_vocab_size": 4096,
        "acoustic_vocab_size": 8192,
    }
    with pytest.raises(CodesError, match="acoustic codes from -"):
        Codes.from_interleaved(codes.interleaved(offset=False), **model)
    with pytest.raises(CodesError, match=r"acoustic codes .* layout"):
        Codes.from_interleaved(codes.interleaved(), offset=False, **model)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("layout", "shape", "text"),
    [
        ("from_stacked", (2, 8), r"shape \[2, 8\]; give \[B, 2, L\]"),
        ("from_stacked", (1, 3, 8), r"give \[B, 2, L\]"),
        ("from_paired", (1, 2, 8), r"give \[B, L, 2\]"),
        ("from_interleaved", (1, 7), r"give \[B, 2L\]"),
        ("from_interleaved", (8,), r"give \[B, 2L\]"),
        ("from_stacked", (1, 2, 0), "at least one item, each of 1 sample"),
        ("from_stacked", (0, 2, 8), "at least one item, each of 1 sample"),
        ("from_stacked", (1, 2, 6), "6 positions; .* take 8"),
    ],
)
def test_wrong_layouts_are_refused(layout: str, shape: tuple[int, ...], text: str) -> None:
    model = {"token_rate": 50, "semantic_vocab_size": 4096, "acoustic_vocab_size": 8192}
    with pytest.raises(CodesError, match=text):
        getattr(Codes, layout)(torch.zeros(shape, dtype=torch.int64), **model)


# --- validity ---


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"semantic": torch.zeros(28, dtype=torch.int64)}, r"shape \[28\]"),
        ({"semantic": torch.zeros(1, 24, dtype=torch.int64)}, r"\[1, 24\] and .* \[1, 28\]"),
        ({"semantic": torch.zeros(1, 28)}, "semantic codes of type torch.float32"),
        ({"acoustic": torch.zeros(1, 28, dtype=torch.bool)}, "acoustic codes of type torch.bool"),
        ({"semantic": torch.full((1, 28), 4096)}, "semantic codes from 4096 to 4096.*0 to 4095"),
        ({"acoustic": torch.full((1, 28), -1)}, "acoustic codes from -1 to -1.*0 to 8191"),
        ({"acoustic": torch.zeros(1, 28, dtype=torch.int64, device="meta")}, "one device"),
        ({"num_samples": (15360,)}, "28 positions; .* 15360 samples take 24"),
        ({"num_samples": (17921,)}, "28 positions; .* 17921 samples take 32"),
        ({"num_samples": (0,)}, "each of 1 sample"),
        ({"num_samples": (16000.5,)}, "whole number"),
        ({"num_samples": 16000}, "whole number"),
        ({"num_samples": (16000, 16000)}, "2 lengths for 1 items"),
        ({"token_rate": 75}, "token rate 75"),
        ({"semantic_vocab_size": 0}, "semantic_vocab_size 0"),
        ({"sample_rate": 0}, "sample_rate 0"),
        ({"fingerprint": b"short"}, "fingerprint b'short'; 8 bytes"),
    ],
)
def test_codes_that_do_not_fit_are_refused(changes: dict, text: str) -> None:
    with pytest.raises(CodesError, match=text):
        replace(random_codes((ONE_SECOND,)), **changes)


def test_padding_means_nothing_and_is_zero() -> None:
    codes = random_codes((ONE_SECOND, 100))
    junk = codes.semantic.clone()
    junk[1, 4:] = -1
    assert replace(codes, semantic=junk) == codes
    assert not codes.semantic[1, 4:].any() and not codes.acoustic[1, 4:].any()
    assert codes.semantic[1, :4].any()


def test_codes_do_not_follow_later_changes_of_their_source() -> None:
    source = torch.zeros(1, 28, dtype=torch.int64)
    codes = replace(random_codes((ONE_SECOND,)), semantic=source)
    source += 1
    assert not codes.semantic.any()


# --- batches ---


@settings(max_examples=50, deadline=None)
@given(codes=any_codes)
def test_items_of_a_batch_join_to_the_batch(codes: Codes) -> None:
    assert Codes.cat(list(codes)) == codes
    assert len(list(codes)) == len(codes)
    for index, item in enumerate(codes):
        assert item == codes[index] == codes[index - len(codes)]
        assert item.num_samples == (codes.num_samples[index],)
        assert item.semantic.shape == (1, codes.num_positions[index])


def test_batches_join_too() -> None:
    first, second = random_codes((ONE_SECOND, 1)), random_codes((3 * ONE_SECOND,), seed=1)
    joined = Codes.cat([first, second])
    assert joined.num_samples == (16000, 1, 48000)
    assert joined[2] == second
    assert Codes.cat([joined[0], joined[1]]) == first


def test_items_of_different_models_do_not_join() -> None:
    codes = random_codes((ONE_SECOND,))
    with pytest.raises(CodesError, match="fingerprint b'model id' and b'another1'"):
        Codes.cat([codes, replace(codes, fingerprint=b"another1")])
    with pytest.raises(CodesError, match="token_rate 50 and 100"):
        Codes.cat([codes, random_codes((ONE_SECOND,), token_rate=100)])
    with pytest.raises(CodesError, match="at least one"):
        Codes.cat([])


def test_index_behind_the_last_item() -> None:
    with pytest.raises(IndexError):
        random_codes((ONE_SECOND,))[1]


def test_equality_sees_codes_lengths_and_settings() -> None:
    codes = random_codes((ONE_SECOND,))
    assert codes == random_codes((ONE_SECOND,))
    assert codes != random_codes((ONE_SECOND,), seed=1)
    assert codes != replace(codes, num_samples=(ONE_SECOND + 1,))
    assert codes != replace(codes, sample_rate=24000)
    assert codes != "codes"
    assert codes.to("cpu") == codes and codes.device == torch.device("cpu")


def test_rates_and_lengths() -> None:
    codes = random_codes((ONE_SECOND, 40_000), token_rate=25, semantic_vocab_size=32768)
    assert codes.bitrate == 350
    assert codes.duration_s == (1.0, 2.5)
    assert codes.num_positions == (16, 32)


# --- files ---


@settings(max_examples=30, deadline=None)
@given(codes=any_codes)
def test_files_give_the_same_codes(codes: Codes) -> None:
    file = io.BytesIO()
    codes[0].save(file)
    assert Codes.load(file.getvalue()) == codes[0]


def test_path_gives_the_same_codes(tmp_path: Path) -> None:
    codes = random_codes((30 * ONE_SECOND,))
    codes.save(tmp_path / "a.smtc")
    assert Codes.load(tmp_path / "a.smtc") == codes
    assert Codes.load(str(tmp_path / "a.smtc")) == codes


def test_batch_is_saved_item_by_item(tmp_path: Path) -> None:
    codes = random_codes((ONE_SECOND, 1))
    with pytest.raises(CodesError, match=r"2 items; .* holds one: .*enumerate\(codes\)"):
        codes.save(tmp_path / "a.smtc")
    assert not list(tmp_path.iterdir())


def test_vocabulary_must_be_a_power_of_two_to_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="semantic vocabulary of 100"):
        random_codes((ONE_SECOND,), semantic_vocab_size=100).save(tmp_path / "a.smtc")
    assert not list(tmp_path.iterdir())


def test_damaged_file_is_concealed_with_a_warning_on_request() -> None:
    codes = random_codes((30 * ONE_SECOND,))
    file = io.BytesIO()
    codes.save(file)
    data = bytearray(file.getvalue())
    data[100] ^= 1
    with pytest.raises(ContainerError, match="block 0"):
        Codes.load(bytes(data))
    with pytest.warns(UserWarning, match="256 of 752 positions"):
        concealed = Codes.load(bytes(data), conceal=True)
    assert concealed.num_samples == codes.num_samples
    assert torch.equal(concealed.stacked()[..., 256:], codes.stacked()[..., 256:])

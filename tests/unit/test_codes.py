"""Layouts and files round-trip; codes that do not fit together are refused."""

import copy
import io
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from semanticodec.codes import Codes
from semanticodec.errors import CodesError, ConfigError, ContainerError
from semanticodec.token_format import TokenFormat, TokenGrid
from semanticodec.token_layouts import LAYOUTS

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


def test_every_layout_has_a_name() -> None:
    codes = random_codes((ONE_SECOND, 2000))
    model = {"format": codes.format, "fingerprint": codes.fingerprint}
    for layout in LAYOUTS:
        ids = getattr(codes, layout)()
        for form in (ids, ids.numpy(), ids.tolist(), ids.int()):
            found = Codes.from_ids(form, layout, num_samples=codes.num_samples, **model)
            assert found == codes
    plain = codes.interleaved(offset=False)
    lengths = codes.num_samples
    again = Codes.from_ids(plain, "interleaved", offset=False, num_samples=lengths, **model)
    assert again == codes
    with pytest.raises(CodesError, match="'flat'; choose one of stacked, paired, interleaved"):
        Codes.from_ids(plain, "flat", **model)


@settings(max_examples=50, deadline=None)
@given(
    token_rate=st.sampled_from([25, 50, 100]),
    length=st.integers(1, 40),
    layout=st.sampled_from(LAYOUTS),
    is_odd=st.booleans(),
)
def test_partial_columns_are_cut_or_filled(
    token_rate: int, length: int, layout: str, is_odd: bool
) -> None:
    format = TokenFormat(token_rate, semantic_vocab_size=64, acoustic_vocab_size=32)
    column = format.positions_per_column
    generator = torch.Generator().manual_seed(length)
    semantic, acoustic = (torch.randint(32, (1, length), generator=generator) for _ in range(2))
    ids = {
        "stacked": torch.stack([semantic, acoustic], 1),
        "paired": torch.stack([semantic, acoustic], 2),
        "interleaved": torch.stack([semantic, acoustic + 64], 2).flatten(1),
    }[layout]
    if layout == "interleaved" and is_odd:
        ids = torch.cat([ids, torch.tensor([[3]])], dim=1)  # a semantic id without its partner
    whole = length // column * column
    if length % column:
        with pytest.raises(CodesError):
            Codes.from_ids(ids, layout, format=format)
    if whole:
        cut = Codes.from_ids(ids, layout, format=format, partial="cut")
        assert torch.equal(cut.semantic, semantic[:, :whole])
        assert torch.equal(cut.acoustic, acoustic[:, :whole])
    else:
        with pytest.raises(CodesError, match=f"less than one column of {column}"):
            Codes.from_ids(ids, layout, format=format, partial="cut")
    filled = Codes.from_ids(ids, layout, format=format, partial="fill")
    total = -(-length // column) * column
    assert filled.semantic.shape == (1, total)
    assert torch.equal(filled.semantic[:, :length], semantic)
    for place in range(length, total):
        before = filled.acoustic[0, place - column] if place >= column else 0
        assert filled.acoustic[0, place] == before
    with pytest.raises(CodesError, match="'pad'; choose one of refuse, cut, fill"):
        Codes.from_ids(ids, layout, format=format, partial="pad")


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([[[1, 2], [3]]], "rows of different lengths"),
        ([[[0.5] * 8] * 2], "give a tensor of integers"),
        ("ids", "give a tensor of integers"),
        (None, "give a tensor of integers"),
        (torch.zeros(1, 2, 8), "type torch.float32; give integers"),
    ],
)
def test_what_holds_no_ids_is_refused(ids: Any, text: str) -> None:
    with pytest.raises(CodesError, match=text):
        Codes.from_ids(ids, format=random_codes((100,)).format)


def test_sparse_ids_are_taken() -> None:
    codes = random_codes((100,))
    found = Codes.from_ids(codes.stacked().to_sparse(), format=codes.format, num_samples=(100,))
    assert torch.equal(found.stacked(), codes.stacked())


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


def test_a_format_or_its_settings_by_name() -> None:
    codes = random_codes((ONE_SECOND,))
    streams = {"semantic": codes.semantic, "acoustic": codes.acoustic}
    other = Codes(**streams, num_samples=(ONE_SECOND,), format=codes.format)
    assert other.format == codes.format and other.token_rate == 50
    changed = Codes(**streams, num_samples=(ONE_SECOND,), format=codes.format, sample_rate=8000)
    assert changed.format == replace(codes.format, sample_rate=8000)
    with pytest.raises(CodesError, match="missing; give format=codec.format"):
        Codes(**streams, num_samples=(ONE_SECOND,), token_rate=50)
    with pytest.raises(CodesError, match="no vocab_size; it has token_rate"):
        Codes(**streams, num_samples=(ONE_SECOND,), format=codes.format, vocab_size=3)


def test_time_and_positions_have_rates_of_their_own() -> None:
    codes = random_codes((ONE_SECOND,), token_rate=100)
    assert (codes.positions_per_second, codes.columns_per_second) == (50.0, 6.25)
    assert codes.frame_rate * codes.hop_length == codes.sample_rate


# --- as Python objects ---


def test_repr_is_one_line() -> None:
    codes = random_codes((ONE_SECOND, 8000))
    assert repr(codes) == (
        "Codes(2 x 28 positions, 50 tokens/s, 0.50 to 1.00 s, vocabularies 4096 + 8192, "
        "model 6d6f64656c206964)"
    )
    assert "1.00 s" in repr(codes[0]) and "unknown" in repr(replace(codes, fingerprint=bytes(8)))


def test_copies_are_equal_and_of_their_own() -> None:
    codes = random_codes((ONE_SECOND, 100))
    for other in (copy.deepcopy(codes), copy.copy(codes), pickle.loads(pickle.dumps(codes))):
        assert other == codes and other.format == codes.format
    deep = copy.deepcopy(codes)
    deep.semantic[0, 0] += 1
    assert deep != codes


def test_codes_have_no_hash_and_say_what_to_take() -> None:
    codes = random_codes((ONE_SECOND,))
    with pytest.raises(TypeError, match="unhashable"):
        hash(codes)
    assert Codes.__doc__ is not None and "as a key" in Codes.__doc__


def test_codes_made_in_inference_mode_are_ordinary_tensors() -> None:
    with torch.inference_mode():
        codes = random_codes((ONE_SECOND,))
    codes.semantic[0, 0] = 1
    assert not codes.semantic.is_inference() and not codes[0].acoustic.is_inference()


def test_a_data_loader_gives_batches() -> None:
    items = [random_codes((1000 * number,), seed=number) for number in range(1, 5)]
    (batch,) = DataLoader(items, batch_size=4, collate_fn=Codes.collate)
    assert batch == Codes.cat(items)
    labeled = [{"codes": item, "pair": (item, number)} for number, item in enumerate(items)]
    loader = DataLoader(labeled, batch_size=4, collate_fn=Codes.collate, num_workers=1)
    (found,) = loader
    assert found["codes"] == found["pair"][0] == batch
    assert found["pair"][1].tolist() == [0, 1, 2, 3]


def test_slices_are_batches() -> None:
    codes = random_codes((ONE_SECOND, 100, 2000))
    assert codes[1:] == Codes.cat([codes[1], codes[2]])
    assert codes[::-1][0] == codes[2]
    with pytest.raises(CodesError, match="at least one"):
        codes[3:]


def test_devices_are_checked() -> None:
    codes = random_codes((100,))
    assert codes.to("auto") == codes
    with pytest.raises(ConfigError, match="'abacus' is not a device"):
        codes.to("abacus")


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


@pytest.mark.parametrize("source", ["nowhere.smtc", ".", 3, io.StringIO("SMTC")])
def test_what_cannot_be_read_is_an_error_of_the_family(source: Any) -> None:
    with pytest.raises(ContainerError):
        Codes.load(source)


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

"""Every layout has its inverse; what a language model leaves unfinished is cut, with a warning."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticodec.codes import Codes
from semanticodec.errors import CodesError, ConfigError
from semanticodec.lm import (
    LAYOUTS,
    Delayed,
    Flattened,
    Interleaved,
    SemanticFirst,
    SemanticOnly,
)
from semanticodec.token_format import TokenFormat

MODEL = b"model id"
KINDS = {
    **LAYOUTS,
    "delayed by column": Delayed.by_column,
    "delayed by 3": partial(Delayed, delays=(3, 0)),
}
BOTH_STREAMS = [name for name in KINDS if name != "semantic-only"]


def random_codes(num_samples, token_rate=50, sizes=(64, 32), seed=0):
    format = TokenFormat(token_rate, semantic_vocab_size=sizes[0], acoustic_vocab_size=sizes[1])
    generator = torch.Generator().manual_seed(seed)
    shape = (len(num_samples), format.num_positions(max(num_samples)))
    streams = [torch.randint(size, shape, generator=generator) for size in sizes]
    return Codes(*streams, num_samples, format, fingerprint=MODEL)


def layout_of(name, codes, first_id=0):
    return KINDS[name](codes.format, fingerprint=codes.fingerprint, first_id=first_id)


any_codes = st.builds(
    random_codes,
    num_samples=st.lists(st.integers(1, 40_000), min_size=1, max_size=3).map(tuple),
    token_rate=st.sampled_from([25, 50, 100]),
    sizes=st.sampled_from([(64, 32), (1, 1), (3, 1000)]),
    seed=st.integers(0, 100),
)


@settings(max_examples=100, deadline=None)
@given(codes=any_codes, name=st.sampled_from(BOTH_STREAMS), first_id=st.sampled_from([0, 128_264]))
def test_decode_is_the_inverse_of_encode(codes, name, first_id):
    layout = layout_of(name, codes, first_id)
    ids = layout.encode(codes)
    assert first_id <= int(ids.min()) and int(ids.max()) < layout.vocab_size
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert layout.decode(ids, num_samples=codes.num_samples) == codes
        # Without the lengths audio fills the last column.
        whole = layout.decode(ids.numpy())
    assert whole.num_positions == codes.num_positions
    assert torch.equal(whole.stacked(), codes.stacked())


@settings(max_examples=30, deadline=None)
@given(codes=any_codes)
def test_semantic_only_keeps_the_semantic_stream(codes):
    layout = layout_of("semantic-only", codes)
    decoded = layout.decode(layout.encode(codes), num_samples=codes.num_samples)
    assert torch.equal(decoded.semantic, codes.semantic) and not decoded.acoustic.any()
    # A second model continues with the acoustic codes: the prompt is the start of the whole.
    full = layout_of("semantic-first", codes)
    for item, known in zip(codes, decoded, strict=True):
        prompt = full.prompt(known)
        assert torch.equal(prompt, full.encode(item)[:, : prompt.shape[1]])
        first = layout.prompt(item)
        assert torch.equal(first, prompt[:, :-1])


@settings(max_examples=100, deadline=None)
@given(
    codes=any_codes,
    name=st.sampled_from(list(KINDS)),
    share=st.floats(0, 1),
    choice=st.sampled_from(["cut", "fill", "refuse"]),
)
def test_a_row_that_stops_anywhere_gives_the_start(codes, name, share, choice):
    """Truncated rows decode to the start of the recording, or say that there is none."""
    item = codes[0]
    layout = layout_of(name, item)
    ids = layout.encode(item)
    stopped = ids[..., : int(share * ids.shape[-1])]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            decoded = layout.decode(stopped, partial=choice)
        except CodesError as error:
            decoded, message = None, str(error)
    if decoded is None:
        assert message.startswith("item 0")
        return
    length, bands = decoded.semantic.shape[1], item.format.positions_per_column
    exact = length if choice != "fill" else length - bands
    assert torch.equal(decoded.semantic[:, :exact], item.semantic[:, :exact])
    if name != "semantic-only":
        assert torch.equal(decoded.acoustic[:, :exact], item.acoustic[:, :exact])
    assert length <= item.semantic.shape[1]
    # Nothing is lost in silence: no warning means that every code came back.
    if not caught:
        assert layout.vocabulary.is_per_stream or _num_codes(layout, stopped) == length * (
            1 if name == "semantic-only" else 2
        )


def _num_codes(layout, ids):
    first = layout.first_id
    return int(((ids >= first) & (ids < layout.vocabulary.pad)).sum())


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(list(KINDS)),
    seed=st.integers(0, 1000),
    length=st.integers(0, 40),
    lowest=st.sampled_from([-2, 0, 100]),
)
def test_random_ids_never_fail_deep_inside(name, seed, length, lowest):
    layout = layout_of(name, random_codes((1,)))
    generator = torch.Generator().manual_seed(seed)
    shape = (2, layout.num_rows, length) if isinstance(layout, Delayed) else (2, length)
    ids = torch.randint(lowest, 110, shape, generator=generator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            decoded, message = layout.decode(ids, partial="fill"), ""
        except CodesError as error:
            decoded, message = None, str(error)
    assert message.startswith("item ") if decoded is None else len(decoded) == 2


# --- by hand ---

ONE_COLUMN = Codes(
    torch.tensor([[1, 2, 3, 4]]),
    torch.tensor([[5, 6, 7, 8]]),
    (100,),
    token_rate=25,
    semantic_vocab_size=10,
    acoustic_vocab_size=20,
)
PAD, BEGIN, END, ACOUSTIC, EMPTY = range(30, 35)


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (Interleaved, [BEGIN, 1, 15, 2, 16, 3, 17, 4, 18, END]),
        (Flattened, [BEGIN, 1, 2, 3, 4, 15, 16, 17, 18, END]),
        (SemanticOnly, [BEGIN, 1, 2, 3, 4, END]),
        (SemanticFirst, [BEGIN, 1, 2, 3, 4, ACOUSTIC, 15, 16, 17, 18, END]),
    ],
)
def test_rows_by_hand(kind, row):
    layout = kind(ONE_COLUMN.format)
    assert layout.encode(ONE_COLUMN).tolist() == [row]
    assert layout.vocab_size == 35
    known = layout.vocabulary
    special = [known.pad, known.begin, known.end, known.acoustic, known.empty]
    assert special == [PAD, BEGIN, END, ACOUSTIC, EMPTY]


def test_interleaved_ids_are_those_of_the_codes():
    codes = random_codes((30_000,))
    assert torch.equal(Interleaved(codes.format).encode(codes)[:, 1:-1], codes.interleaved())


def test_delayed_rows_by_hand():
    pad, begin, end, _, empty = range(20, 25)  # behind the larger vocabulary
    layout = Delayed(ONE_COLUMN.format, (0, 2))
    assert layout.encode(ONE_COLUMN)[0].tolist() == [
        [begin, 1, 2, 3, 4, end, pad, pad],
        [begin, empty, empty, 5, 6, 7, 8, end],
    ]
    # A prompt has no step whose codes are still to come.
    assert layout.prompt(ONE_COLUMN)[0].tolist() == [
        [begin, 1, 2, 3, 4],
        [begin, empty, empty, 5, 6],
    ]
    by_column = Delayed.by_column(ONE_COLUMN.format)
    assert by_column.encode(ONE_COLUMN)[0].tolist() == [
        *([begin, semantic, end, pad] for semantic in (1, 2, 3, 4)),
        *([begin, empty, acoustic, end] for acoustic in (5, 6, 7, 8)),
    ]
    assert layout.vocab_size == by_column.vocab_size == 25


@pytest.mark.parametrize("name", list(KINDS))
def test_prompts_end_at_one_step_and_decode(name):
    codes = random_codes((30_000, 9000))
    layout = layout_of(name, codes)
    prompt = layout.prompt(codes)
    known = layout.vocabulary
    assert not (prompt[..., -1] == known.pad).any() and not (prompt == known.end).any()
    if name in ("interleaved", "flattened"):
        decoded = layout.decode(prompt, num_samples=codes.num_samples)
        assert decoded == codes


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("token_rate", [25, 50, 100])
def test_places_are_those_of_the_codes(name, token_rate):
    codes = random_codes((30_000, 5000), token_rate)
    layout, bands = layout_of(name, codes), codes.format.positions_per_column
    ids, places = layout.encode(codes), layout.places(codes.num_positions)
    known = layout.vocabulary
    is_special = ids >= known.pad
    for each in (places.stream, places.band, places.column, places.start_s):
        assert torch.equal(each == -1, is_special)
    for item in range(2):
        real = ~is_special[item]
        stream, band = places.stream[item][real], places.band[item][real]
        position = places.column[item][real] * bands + band
        assert int(band.max()) == bands - 1
        first = torch.tensor([known.first_of(0), known.first_of(1)])
        assert torch.equal(codes.stacked()[item][stream, position], ids[item][real] - first[stream])
    seconds = codes.format.samples_per_column / codes.sample_rate
    assert places.start_s.max() == pytest.approx(seconds * int(places.column.max()))


@pytest.mark.parametrize("name", list(KINDS))
def test_steps_per_second(name):
    ten_seconds = random_codes((160_000 // 5120 * 5120,), 25)
    layout = layout_of(name, ten_seconds)
    steps = layout.encode(ten_seconds).shape[-1]
    around = 2 + ("first" in name) + max(getattr(layout, "delays", (0,)))
    assert steps - around == pytest.approx(
        layout.steps_per_second * ten_seconds.duration_s[0], abs=0
    )


# --- what is cut, and what is refused ---


def test_a_warning_says_what_is_left_out():
    codes = random_codes((10_000,))  # 4 columns of 4 bands
    layout = layout_of("interleaved", codes)
    ids = layout.encode(codes)
    with pytest.warns(UserWarning, match="behind 2 of 4 bands; 0.16 s are kept"):
        decoded = layout.decode(ids[:, : 1 + 12])
    assert torch.equal(decoded.semantic, codes.semantic[:, :4])
    with pytest.warns(UserWarning, match="3 semantic and 2 acoustic codes"):
        filled = layout.decode(ids[:, : 1 + 5], partial="fill")
    assert filled.semantic[0, :2].tolist() == codes.semantic[0, :2].tolist()
    with pytest.raises(CodesError, match="item 0: it stops inside a column"):
        layout.decode(ids[:, : 1 + 12], partial="refuse")


def test_an_id_that_does_not_belong_ends_the_recording():
    codes = random_codes((10_000,))
    layout = layout_of("interleaved", codes)
    ids = layout.encode(codes)
    ids[0, 1 + 9] = 3  # a semantic id where an acoustic one belongs
    with pytest.warns(UserWarning, match="id 3 is no acoustic code, which would be next"):
        decoded = layout.decode(ids)
    assert torch.equal(decoded.acoustic, codes.acoustic[:, :4])


def test_text_around_the_codes_does_not_count():
    codes = random_codes((10_000,))
    layout = layout_of("flattened", codes, first_id=1000)
    row = [5, 7, 999, *layout.encode(codes)[0].tolist(), 4, 1001]
    decoded = layout.decode([row, row[3:]], num_samples=codes.num_samples * 2)  # ragged rows too
    assert decoded[0] == decoded[1] == codes


@pytest.mark.parametrize("name", list(KINDS))
def test_rows_without_begin_and_end(name):
    """What a model generated behind a prompt: padding ends it, or is in front of it."""
    codes = random_codes((10_000,))
    layout = layout_of(name, codes)
    ids, pad = layout.encode(codes), layout.vocabulary.pad
    bare = ids[..., 1:].masked_fill(ids[..., 1:] == layout.vocabulary.end, pad)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = layout.decode(ids)
        assert layout.decode(bare) == whole
        assert layout.decode(torch.nn.functional.pad(bare, (3, 0), value=pad)) == whole


def test_nothing_to_decode_names_the_item():
    layout = layout_of("semantic-first", random_codes((1,)))
    whole = layout.encode(random_codes((1,)))[0].tolist()
    with pytest.raises(CodesError, match="item 1 has no whole column: 4 semantic and 0 acoustic"):
        layout.decode([whole, whole[:5]])
    with pytest.raises(CodesError, match="item 0 has no whole column; let"):
        layout.decode([[]], partial="fill")


def test_other_shapes_and_models_are_refused():
    codes = random_codes((10_000,))
    layout = layout_of("interleaved", codes)
    for ids in (torch.tensor(3), [], 7, torch.zeros(0, 5, dtype=torch.int64)):
        with pytest.raises(CodesError, match="no ids"):
            layout.decode(ids)
    for ids in (torch.tensor([3, 4]), [3, 4], np.zeros((1, 2, 3), int)):
        with pytest.raises(CodesError, match=r"the layout interleaved has \[N\]"):
            layout.decode(ids)
    with pytest.raises(CodesError, match="give integers"):
        layout.decode(torch.zeros(1, 4))
    with pytest.raises(CodesError, match="this layout has 2 rows"):
        layout_of("delayed", codes).decode(torch.zeros(1, 3, 4, dtype=torch.int64))
    with pytest.raises(CodesError, match="choose one of refuse, cut, fill"):
        layout.decode(layout.encode(codes), partial="drop")
    for lengths in ((0,), (2.5,), 7):
        with pytest.raises(CodesError, match="num_samples"):
            layout.decode(layout.encode(codes), num_samples=lengths)
    with pytest.raises(CodesError, match="2 lengths for 1 items"):
        layout.decode(layout.encode(codes), num_samples=(1, 2))
    with pytest.raises(CodesError, match="to which they would mean something else"):
        layout.encode(replace(codes, fingerprint=b"stranger"))
    with pytest.raises(CodesError, match="make it with the codes' own format"):
        layout.encode(random_codes((10_000,), token_rate=25))
    with pytest.raises(ConfigError, match="for each of 2 or 8 rows"):
        Delayed(codes.format, (0, 1, 2))
    with pytest.raises(ConfigError, match="first_id -1"):
        Interleaved(codes.format, first_id=-1).encode(codes)


# --- sound ---


@pytest.mark.parametrize("name", BOTH_STREAMS)
def test_sound_up_to_where_a_model_stopped(name, quick_codec):
    time = torch.arange(16_000) / 16_000
    codes = quick_codec.encode(0.1 * torch.sin(2 * torch.pi * 440 * time)[None, None], 16_000)
    layout = KINDS[name](quick_codec.format, fingerprint=quick_codec.model_fingerprint)
    ids = layout.encode(codes)
    assert torch.equal(
        quick_codec.decode(layout.decode(ids, num_samples=codes.num_samples)),
        quick_codec.decode(codes),
    )
    with pytest.warns(UserWarning, match="are kept"):
        # One code short of the end: rows of one step have one left, those in step have one each.
        stopped = layout.decode(ids[..., :-3] if name.startswith("delayed") else ids[..., :-2])
    assert quick_codec.decode(stopped).shape[-1] == stopped.num_samples[0] < 7 * 2560

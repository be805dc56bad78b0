"""Live streams: nothing depends on how they are cut, latency is constant, memory is bounded."""

import gc
import weakref
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_codec
from semanticodec import Codes, SemantiCodec, StreamDecoder
from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES
from semanticodec.audio.windows import STEP_SAMPLES
from semanticodec.errors import AudioError, CodesError, ConfigError
from semanticodec.token_format import WINDOW_SAMPLES

PLAIN = {"num_steps": 1, "guidance_scale": 1.0}
WINDOW_S = 0.64
WINDOW = 2 * STEP_SAMPLES
OVERLAP_S = 0.08
OVERLAP = 1280


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)


def split(wav: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(wav, np.cumsum(sizes), axis=-1)


def random_codes(codec: SemantiCodec, num_positions: int) -> Codes:
    rng = np.random.default_rng(num_positions)
    ids = [rng.integers(0, size, num_positions) for size in codec.vocab_sizes]
    return codec.codes_from(np.stack(ids)[None])


def pieces(codes: Codes, sizes: list[int]) -> list[Codes]:
    """Return codes cut after so many columns each, the rest in one."""
    format, streams = codes.format, codes.stacked()
    column = format.positions_per_column
    ends = [min(column * int(end), streams.shape[2]) for end in np.cumsum(sizes)]
    ends = sorted({0, *ends, streams.shape[2]})
    found = []
    for start, end in zip(ends, ends[1:]):
        left = codes.num_samples[0] - start * format.samples_per_position
        length = min(left, (end - start) * format.samples_per_position)
        part = streams[:, :, start:end]
        found.append(Codes.from_stacked(part, format=format, num_samples=(length,)))
    return found


def decoded(decoder: StreamDecoder, items: list[Codes]) -> torch.Tensor:
    return torch.cat([*(decoder.push(item) for item in items), decoder.finish()], dim=-1)


# --- wav -> codes ---


@pytest.mark.parametrize("token_rate", [100, 25])
def test_whole_windows_have_the_codes_of_encode(token_rate: int) -> None:
    codec = random_codec(token_rate)
    wav = noise(2 * WINDOW_SAMPLES + 30_000)
    found = list(codec.encode_stream(split(wav, [100_000, 70_000])))
    assert [item.num_samples[0] for item in found] == [WINDOW_SAMPLES, WINDOW_SAMPLES, 30_000]
    joined = torch.cat([item.stacked() for item in found], dim=2)
    whole = codec.encode(wav)
    assert torch.equal(joined, whole.stacked())
    assert found[0].fingerprint == whole.fingerprint


@settings(max_examples=10, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 20_000), max_size=8),
    num_samples=st.integers(400, 45_000),
    sample_rate=st.sampled_from([16_000, 44_100]),
)
def test_blocks_do_not_matter(
    quick_codec: SemantiCodec, sizes: list[int], num_samples: int, sample_rate: int
) -> None:
    wav = noise(num_samples * sample_rate // 16_000 + 1)
    options = {"sample_rate": sample_rate, "window_s": WINDOW_S}
    whole = list(quick_codec.encode_stream([wav], **options))
    assert list(quick_codec.encode_stream(split(wav, sizes), **options)) == whole
    assert sum(item.num_samples[0] for item in whole) == -(-len(wav) * 16_000 // sample_rate)


def test_padded_short_windows_are_recordings_of_their_own(tiny_codec: SemantiCodec) -> None:
    wav = noise(2 * WINDOW + 3000)
    found = list(tiny_codec.encode_stream([wav], window_s=WINDOW_S))
    alone = [tiny_codec.encode(part) for part in split(wav, [WINDOW, WINDOW])]
    assert found == alone


def test_unpadded_short_windows_see_the_samples_behind_them(quick_codec: SemantiCodec) -> None:
    wav = noise(2 * WINDOW)
    other = np.concatenate([wav[:WINDOW], 3 * wav[WINDOW:]])
    first, second = (
        list(quick_codec.encode_stream([each], window_s=WINDOW_S)) for each in (wav, other)
    )
    column = quick_codec.format.positions_per_column
    assert torch.equal(first[0].semantic[:, :-column], second[0].semantic[:, :-column])
    # Behind the look-ahead nothing counts.
    far = np.concatenate([wav[: WINDOW + LOOKAHEAD_SAMPLES], other[WINDOW + LOOKAHEAD_SAMPLES :]])
    assert next(quick_codec.encode_stream([far], window_s=WINDOW_S)) == first[0]


@pytest.mark.parametrize("window_s", [0.32, 0.64, 2.56])
def test_codes_come_with_the_last_sample_of_the_look_ahead(
    quick_codec: SemantiCodec, window_s: float
) -> None:
    given = 0

    def microphone() -> Iterator[np.ndarray]:
        nonlocal given
        while True:
            given += 80
            yield noise(80, given)

    window = round(16_000 * window_s)
    stream = quick_codec.encode_stream(microphone(), window_s=window_s)
    for number, codes in enumerate(islice(stream, 3), start=1):
        assert given == number * window + LOOKAHEAD_SAMPLES
        assert codes.num_samples == (window,)


def test_an_endless_stream_takes_bounded_memory(quick_codec: SemantiCodec) -> None:
    blocks = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            block = np.zeros(1600, np.float32)
            blocks.append(weakref.ref(block))
            yield block

    decoder = StreamDecoder(quick_codec, WINDOW_S, **PLAIN)
    stream = quick_codec.encode_stream(endless(), window_s=WINDOW_S)

    def held_bytes(num_windows: int) -> int:
        for codes in islice(stream, num_windows):
            decoder.push(codes)
        del codes
        tensors = [each for each in gc.get_objects() if type(each) is torch.Tensor]
        # Those of other tests may be sparse.
        return sum(tensor.nbytes for tensor in tensors if tensor.layout is torch.strided)

    start = held_bytes(4)
    assert held_bytes(8) <= start + 1000  # the samples of 8 windows are 327 680 bytes
    assert sum(block() is not None for block in blocks) <= 2


@pytest.mark.parametrize("window_s", [0, 0.16, 0.5, 10.56, -0.32, float("nan"), "1"])
def test_windows_of_other_lengths_are_refused(tiny_codec: SemantiCodec, window_s: float) -> None:
    with pytest.raises(ConfigError, match=r"window_s is .*; give 0.32 to 10.24, a multiple of"):
        tiny_codec.encode_stream([noise(1000)], window_s=window_s)


def test_every_multiple_of_the_step_is_a_window(quick_codec: SemantiCodec) -> None:
    for number in range(1, 33):
        quick_codec.encode_stream([], window_s=number * 0.32)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "0 samples"),
        ([np.zeros(399, np.float32)], "399 samples"),
        ([np.zeros(10), np.full(5, np.nan)], r"blocks\[1\] holds NaN"),
        ([np.zeros((1, 1, 500))], r"blocks\[0\] has the shape"),
        (["sound.wav"], r"blocks\[0\] is of type str"),
        ([0.1, 0.2], r"blocks\[0\] is of type float"),
    ],
)
def test_blocks_that_are_no_sound_are_refused(
    tiny_codec: SemantiCodec, blocks: list, message: str
) -> None:
    with pytest.raises(AudioError, match=message):
        list(tiny_codec.encode_stream(blocks))


def test_integers_and_channels_are_taken(quick_codec: SemantiCodec) -> None:
    pcm = (noise(WINDOW) * 32768).astype(np.int16)
    mono = list(quick_codec.encode_stream([pcm], window_s=WINDOW_S))
    stereo = [torch.from_numpy(np.stack([block, block])) for block in split(pcm, [3000])]
    assert list(quick_codec.encode_stream(stereo, window_s=WINDOW_S)) == mono


# --- codes -> wav ---


@pytest.mark.parametrize(
    ("columns", "sizes"),
    [(20, [3]), (64, [1, 62]), pytest.param(130, [64, 64], marks=pytest.mark.slow)],
)
def test_samples_are_those_of_decode_stream(
    quick_codec: SemantiCodec, columns: int, sizes: list[int]
) -> None:
    codes = random_codes(quick_codec, 8 * columns)
    whole = torch.cat(list(quick_codec.decode_stream(codes, batch_size=1, **PLAIN)), dim=-1)
    found = decoded(StreamDecoder(quick_codec, **PLAIN), pieces(codes, sizes))
    assert torch.equal(found, whole)


def test_a_last_column_that_is_not_full_ends_the_samples(quick_codec: SemantiCodec) -> None:
    codes = quick_codec.encode(noise(WINDOW + 700))
    for window_s in (None, WINDOW_S):
        decoder = StreamDecoder(quick_codec, window_s, **PLAIN)
        assert decoded(decoder, pieces(codes, [2])).shape == (1, 1, WINDOW + 700)
        assert decoder.next_sample == WINDOW + 700


@settings(max_examples=4, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), max_size=6))
def test_live_windows_do_not_depend_on_pushes(quick_codec: SemantiCodec, sizes: list[int]) -> None:
    codes = random_codes(quick_codec, 8 * 11)
    whole = decoded(StreamDecoder(quick_codec, WINDOW_S, **PLAIN), [codes])
    found = decoded(StreamDecoder(quick_codec, WINDOW_S, **PLAIN), pieces(codes, sizes))
    assert torch.equal(found, whole) and whole.shape == (1, 1, 11 * 2560)


def test_a_live_window_alone_is_decoded_as_a_recording(quick_codec: SemantiCodec) -> None:
    codes = random_codes(quick_codec, 32)
    found = decoded(StreamDecoder(quick_codec, WINDOW_S, **PLAIN), [codes])
    assert torch.equal(found, quick_codec.decode(codes, **PLAIN))


@pytest.mark.parametrize("overlap_s", [0.0, OVERLAP_S, 0.64])
def test_latency_of_live_windows_is_constant(quick_codec: SemantiCodec, overlap_s: float) -> None:
    decoder = StreamDecoder(quick_codec, WINDOW_S, overlap_s=overlap_s, **PLAIN)
    received = 0
    for number, item in enumerate(pieces(random_codes(quick_codec, 32 * 5), [4] * 5), start=1):
        samples = decoder.push(item)
        received += samples.shape[2]
        assert samples.dtype == torch.float32 and not samples.is_inference()
        assert received == decoder.next_sample == number * WINDOW - round(16_000 * overlap_s)
    assert received + decoder.finish().shape[2] == 5 * WINDOW


@pytest.mark.parametrize("joined_at", [32, 40])
def test_joining_live_gives_the_same_samples_from_the_second_window_on(
    quick_codec: SemantiCodec, joined_at: int
) -> None:
    codes = random_codes(quick_codec, 32 * 4)
    whole = decoded(StreamDecoder(quick_codec, WINDOW_S, **PLAIN), [codes])
    decoder = StreamDecoder(quick_codec, WINDOW_S, joined_at=joined_at, **PLAIN)
    first = decoder.next_sample
    found = decoded(decoder, pieces(codes, [joined_at // 8])[1:])
    assert found.shape[2] == whole.shape[2] - first
    second = -(-joined_at // 32) + 1  # number of the second window
    same = second * WINDOW  # behind its cross-fade, which ends where its own codes begin
    assert torch.equal(found[..., same - first :], whole[..., same:])
    assert not torch.equal(found[..., : same - first], whole[..., first:same])


def test_joining_a_recording_gives_the_same_samples_from_the_next_window_on(
    quick_codec: SemantiCodec,
) -> None:
    codes = random_codes(quick_codec, 480 * 3 + 32)
    whole = decoded(StreamDecoder(quick_codec, **PLAIN), [codes])
    decoder = StreamDecoder(quick_codec, joined_at=480, **PLAIN)
    first = decoder.next_sample
    found = decoded(decoder, pieces(codes, [60])[1:])
    same = first + 32 * 320
    assert torch.equal(found[..., same - first :], whole[..., same:])


def test_joining_a_recording_waits_for_the_next_window(quick_codec: SemantiCodec) -> None:
    decoder = StreamDecoder(quick_codec, joined_at=512)  # windows begin every 480 positions
    assert decoder.next_sample == 2 * 480 * 320


def test_a_join_with_nothing_behind_it_is_silent(quick_codec: SemantiCodec) -> None:
    decoder = StreamDecoder(quick_codec, joined_at=8, **PLAIN)
    assert decoder.push(random_codes(quick_codec, 16)).shape == (1, 1, 0)
    assert decoder.finish().shape == (1, 1, 0) == decoder.finish().shape


def test_pushes_that_fit_no_stream_are_refused(quick_codec: SemantiCodec) -> None:
    decoder = StreamDecoder(quick_codec, WINDOW_S, **PLAIN)
    with pytest.raises(CodesError, match="push takes one item, not 2"):
        decoder.push(Codes.cat([random_codes(quick_codec, 8)] * 2))
    decoder.push(quick_codec.encode(noise(3000)))
    with pytest.raises(CodesError, match="the stream has ended"):
        decoder.push(random_codes(quick_codec, 8))
    ended = StreamDecoder(quick_codec, **PLAIN)
    ended.finish()
    with pytest.raises(CodesError, match="the stream has ended"):
        ended.push(random_codes(quick_codec, 8))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"window_s": 0.5}, "window_s is 0.5"),
        ({"window_s": 0.64, "context_s": 0.1}, "context_s is 0.1; give 0 to 10.24"),
        ({"window_s": 10.24}, "together are longer than 10.24 s"),
        ({"window_s": 0.64, "overlap_s": 0.7}, "overlap_s is 0.7; give 0 to 0.64"),
        ({"joined_at": 7}, "a multiple of 8 positions"),
        ({"joined_at": -8}, "a multiple of 8 positions"),
        ({"num_steps": 0}, "num_steps"),
    ],
)
def test_settings_out_of_their_range_are_refused(
    quick_codec: SemantiCodec, settings_: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        StreamDecoder(quick_codec, **settings_)

"""The built-in model computes the same again: codes of golden clips, threads, batches, streams.

Between settings of one machine, and between machines, only positions near a tie may differ;
docs/determinism.md has how near, measured.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from experiments.determinism.golden import TOKEN_RATES, digest, golden_clips
from golden_models import golden
from semanticodec import Codes, SemantiCodec

# Six times the widest move of a gap of these clips (docs/determinism.md; squared distance).
FLOOR = {"semantic": 1e-3, "acoustic": 1e-3}
# Threads inside an operation add in another order; full scale is 1.
WAV_BOUND = 1e-4
SHORT = 10_240


@pytest.fixture(scope="module")
def codec() -> SemantiCodec:
    return SemantiCodec.from_pretrained()


@pytest.fixture(scope="module")
def codes(codec: SemantiCodec) -> Codes:
    return codec.encode(golden_clips())


@pytest.fixture(params=[1, 2])
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def assert_golden(codes: Codes, token_rate: int) -> None:
    """Compare with the golden file; the codes of both streams must be equal, ties apart."""
    arrays = golden("built_in_codes")
    for stream in ("semantic", "acoustic"):
        found = getattr(codes, stream).numpy()
        differs = found != arrays[f"{stream}_{token_rate}"]
        gaps = arrays[f"{stream}_gap_{token_rate}"][differs]
        assert not (gaps > FLOOR[stream]).any(), (
            f"{differs.sum()} {stream} codes differ, up to {gaps.max():.3g} away from a tie"
        )
        if differs.any():  # another centroid changes the acoustic codes of its whole window
            break


def test_the_clips_are_the_same_samples_everywhere() -> None:
    assert digest(golden_clips()) == str(golden("built_in_codes")["clips"])


@pytest.mark.parametrize("token_rate", [rate for rate in TOKEN_RATES if rate != 100])
def test_codes_of_the_built_in_model_stay(token_rate: int) -> None:
    codec = SemantiCodec.from_pretrained(token_rate=token_rate)
    assert_golden(codec.encode(golden_clips()), token_rate)


def test_codes_do_not_depend_on_threads(codec: SemantiCodec, num_threads: int) -> None:
    assert_golden(codec.encode(golden_clips()), 100)


def test_no_golden_code_is_a_coin_toss() -> None:
    """Otherwise the law above would say nothing about the acoustic codes."""
    arrays = golden("built_in_codes")
    for token_rate in TOKEN_RATES:
        assert arrays[f"semantic_gap_{token_rate}"].min() > FLOOR["semantic"] / 10
        share = np.mean(arrays[f"acoustic_gap_{token_rate}"] < FLOOR["acoustic"])
        assert share < 0.02


def test_the_waveform_is_the_same_again_alone_and_streamed(
    codec: SemantiCodec, codes: Codes
) -> None:
    together = codec.decode(codes, seed=3)
    assert torch.equal(codec.decode(codes, seed=3), together)
    for index, item in enumerate(codes):
        alone = codec.decode(item, seed=3)
        assert torch.equal(alone[0], together[index])
        streamed = torch.cat(list(codec.decode_stream(item, seed=3)), dim=-1)
        assert torch.equal(streamed, alone)


@pytest.mark.slow  # threads inside an operation wait for each other where cores are busy
def test_the_waveform_hardly_depends_on_threads(quick_codec: SemantiCodec) -> None:
    codes = quick_codec.encode(golden_clips()[0, 0, :SHORT])
    before = torch.get_num_threads()
    wavs = []
    for number in (1, 2):
        torch.set_num_threads(number)
        wavs.append(quick_codec.decode(codes, seed=3))
    torch.set_num_threads(before)
    assert wavs[0].shape == (1, 1, SHORT)
    assert (wavs[0] - wavs[1]).abs().max() < WAV_BOUND

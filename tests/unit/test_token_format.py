"""The table of token rates, and what follows from a format."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden_weights import GOLDEN
from semanticodec.errors import ConfigError
from semanticodec.token_format import TOKEN_RATES, TokenFormat, TokenGrid

RATES = st.sampled_from(TOKEN_RATES)


def positions(num_samples: int, stack_factor: int) -> int:
    return TokenGrid.from_stack_factor(stack_factor).num_positions(num_samples)


@pytest.mark.parametrize(
    ("token_rate", "stack_factor", "column_samples", "column_positions", "window_positions"),
    [(100, 1, 2560, 8, 512), (50, 2, 2560, 4, 256), (25, 4, 5120, 4, 128)],
)
def test_table(
    token_rate: int,
    stack_factor: int,
    column_samples: int,
    column_positions: int,
    window_positions: int,
) -> None:
    grid = TokenGrid(token_rate)
    assert grid.stack_factor == stack_factor
    assert TokenGrid.from_stack_factor(stack_factor) == grid
    assert grid.samples_per_column == column_samples
    assert grid.positions_per_column == column_positions
    assert grid.positions_per_window == window_positions
    assert grid.samples_per_position * window_positions == 163_840
    assert grid.columns_per_second * column_samples == 16_000
    assert grid.positions_per_second == token_rate / 2


@given(token_rate=RATES, num_samples=st.integers(1, 10_000_000))
def test_positions_hold_the_samples_and_no_whole_column_more(
    token_rate: int, num_samples: int
) -> None:
    grid = TokenGrid(token_rate)
    positions = grid.num_positions(num_samples)
    assert positions % grid.positions_per_column == 0
    covered = positions * grid.samples_per_position
    assert 0 <= covered - num_samples < grid.samples_per_column


def test_bits() -> None:
    format = TokenFormat(25, semantic_vocab_size=32768, acoustic_vocab_size=8192)
    assert (format.bits_per_position, format.bitrate, format.vocab_sizes) == (
        28,
        350,
        (32768, 8192),
    )
    odd = TokenFormat(100, semantic_vocab_size=1000, acoustic_vocab_size=2)
    assert odd.bitrate == pytest.approx(50 * (math.log2(1000) + 1))


@pytest.mark.parametrize("token_rate", [0, 75, -25, 100.5, "100", None])
def test_other_rates_do_not_exist(token_rate: int) -> None:
    with pytest.raises(ConfigError, match="choose 25, 50 or 100"):
        TokenGrid(token_rate)
    with pytest.raises(ConfigError, match="choose 1, 2 or 4"):
        TokenGrid.from_stack_factor(3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"semantic_vocab_size": 0}, "semantic_vocab_size 0; at least 1"),
        ({"acoustic_vocab_size": "8"}, "acoustic_vocab_size '8'"),
        ({"sample_rate": 0}, "sample_rate 0"),
        ({"vocab": 8}, "no vocab; it has token_rate, semantic_vocab_size"),
    ],
)
def test_wrong_settings_are_named(settings: dict, message: str) -> None:
    known = TokenFormat(100, semantic_vocab_size=4, acoustic_vocab_size=8)
    with pytest.raises(ConfigError, match=message):
        TokenFormat.of(known, settings)
    with pytest.raises(ConfigError, match="acoustic_vocab_size missing; give format=codec.format"):
        TokenFormat.of(None, {"token_rate": 100, "semantic_vocab_size": 4})
    assert TokenFormat.of(known, {"token_rate": 25}).token_rate == 25
    assert TokenFormat.of(known, {}) is known


def test_positions_of_known_lengths():
    assert [positions(n, 1) for n in (0, 1, 2560, 2561, 163840)] == [0, 8, 8, 16, 512]
    assert [positions(n, 2) for n in (0, 1, 2560, 2561, 163840)] == [0, 4, 4, 8, 256]
    assert [positions(n, 4) for n in (0, 1, 5120, 5121, 163840)] == [0, 4, 4, 8, 128]
    with pytest.raises(ConfigError, match="stack factor of 8"):
        positions(1, 8)


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
def test_positions_cover_the_audio_and_no_column_more(stack_factor):
    column = 8 if stack_factor == 1 else 4
    samples_per_column = 5120 if stack_factor == 4 else 2560
    generator = np.random.default_rng(0)
    for samples in generator.integers(1, 2_000_000, size=300).tolist():
        columns, rest = divmod(positions(samples, stack_factor), column)
        assert rest == 0
        assert (columns - 1) * samples_per_column < samples <= columns * samples_per_column


def test_positions_are_at_most_the_release_s_rounded_to_columns():
    table = json.loads((GOLDEN / "length_table.json").read_text())
    for row in table:
        if row["samples"] % 2560:
            # The release cuts at single positions and sometimes rounds one up.
            assert 0 <= row["K1"]["tokens"] - positions(row["samples"], 1) <= 1

"""The table of token rates, and what follows from a format."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.errors import ConfigError
from semanticodec.token_format import TOKEN_RATES, TokenFormat, TokenGrid

RATES = st.sampled_from(TOKEN_RATES)


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

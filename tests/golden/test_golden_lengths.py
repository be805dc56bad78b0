"""The release's rules for lengths and windows, and compat's behavior around the weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from golden_weights import GOLDEN
from semanticodec import SemantiCodec, compat
from semanticodec.audio.windows import decode_ranges
from semanticodec.checkpoints.hub import codebook_name
from semanticodec.errors import AudioError, CheckpointError, CodesError, ConfigError

LENGTHS = json.loads((GOLDEN / "length_table.json").read_text())
LATENT = (8, 256, 16)
WINDOWS = json.loads((GOLDEN / "window_table.json").read_text())


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
def test_every_length_of_the_table(stack_factor: int) -> None:
    for row in LENGTHS:
        expected = row[f"K{stack_factor}"]
        length = compat.num_tokens(row["samples"], stack_factor)
        assert length == expected["tokens"], row["samples"]
        assert compat.num_output_samples(length, stack_factor) == expected["out_samples_trim"]


def test_float_rounding_is_part_of_the_rule() -> None:
    """Counted with the official code: extra tokens over whole multiples of 0.16 s."""
    extra = [compat.num_tokens(2560 * count, 1) - 8 * count for count in range(1, 1025)]
    assert {value: extra.count(value) for value in set(extra)} == {0: 587, 8: 379, 1: 51, 9: 7}
    assert compat.num_tokens(16_000, 1) == 57  # one second


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
def test_tokens_never_outnumber_the_windows(stack_factor: int) -> None:
    """From 1 144 321 samples on, rounding asks for one more than seven windows hold."""
    assert compat.num_tokens(1_144_321, stack_factor) == 7 * 512 // stack_factor
    for num_samples in range(0, 4_000_000, 1237):
        num_windows = num_samples // 163_840 + 1
        assert compat.num_tokens(num_samples, stack_factor) <= num_windows * 512 // stack_factor


def test_some_outputs_are_a_sample_short() -> None:
    short = [
        length
        for stack_factor in (1, 2, 4)
        for length in range(1, 2001)
        if compat.num_output_samples(length, stack_factor) != 320 * stack_factor * length
    ]
    assert len(short) == 27


@pytest.mark.parametrize("row", WINDOWS, ids=lambda row: f"K{row['K']}-T{row['T']}")
def test_every_row_of_the_window_table(row: dict) -> None:
    ranges = decode_ranges(row["T"], row["window"])
    assert [list(pair) for pair in ranges] == row["windows"]
    hop = compat.VOCODER_SAMPLES - compat.OVERLAP_SAMPLES
    assert compat.VOCODER_SAMPLES + (len(ranges) - 1) * hop == row["raw_samples"]
    assert compat.num_output_samples(row["T"], row["K"]) == row["trim"]


@pytest.mark.parametrize("source_rate", [8_000, 22_050, 44_100, 48_000, 96_000, 44_101])
def test_a_tone_survives_resampling(source_rate: int) -> None:
    """Any pair of rates, also coprime ones: same length rule, same tone."""
    time = torch.arange(source_rate // 2) / source_rate
    resampled = compat.resample(torch.sin(2 * torch.pi * 440 * time), source_rate)
    assert len(resampled) == -(-len(time) * 16_000 // source_rate)
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(len(resampled)) / 16_000)
    middle = slice(200, -200)
    assert (resampled - expected)[middle].abs().max() < 2e-3


def test_equal_rates_and_empty_input_pass_through() -> None:
    wav = torch.randn(100)
    assert compat.resample(wav, 16_000) is wav
    assert compat.resample(torch.zeros(0), 44_100).shape == (0,)


def test_only_the_first_channel_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    channels = np.stack([np.full(800, 0.25), np.full(800, -0.5)], axis=-1)
    soundfile.write(path, channels, 16_000, subtype="FLOAT")
    assert compat.load_first_channel(path).tolist() == [0.25] * 800


def test_what_is_no_audio_is_one_clear_error(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("not audio")
    with pytest.raises(AudioError, match="not readable audio"):
        compat.load_first_channel(text)
    with pytest.raises(AudioError, match="not readable audio"):
        compat.load_first_channel(tmp_path / "missing.wav")
    soundfile.write(text, np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        compat.load_first_channel(text)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"token_rate": 75}, ConfigError),
        ({"semantic_vocab_size": 1000}, ConfigError),
        ({"ddim_sample_step": 3}, ConfigError),
        ({"ddim_sample_step": 0}, ConfigError),
        ({}, CheckpointError),
    ],
)
def test_the_constructor_refuses_what_nobody_released(
    tmp_path: Path, options: dict, error: type[Exception]
) -> None:
    with pytest.raises(error):
        compat.SemantiCodec(checkpoint_path=tmp_path, **options)


def write_noise(path: Path, num_samples: int, source_rate: int = 16_000) -> Path:
    samples = np.random.default_rng(num_samples).uniform(-0.5, 0.5, num_samples)
    soundfile.write(path, samples, source_rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("num_samples", "num_tokens"), [(1, 8), (16_000, 57), (163_839, 512), (163_840, 520)]
)
def test_a_file_has_the_releases_number_of_tokens(
    tiny_codec: SemantiCodec, tmp_path: Path, num_samples: int, num_tokens: int
) -> None:
    tokens = compat.encode_file(tiny_codec, write_noise(tmp_path / "noise.wav", num_samples))
    assert tokens.shape == (1, num_tokens, 2)
    assert tokens.dtype == torch.int64


def test_the_global_generator_is_drawn_from_in_the_releases_order(
    tiny_codec: SemantiCodec,
) -> None:
    tokens = torch.randint(0, 16, (1, 100, 2), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    seeded = compat.decode_tokens(tiny_codec, tokens, num_steps=4)
    torch.manual_seed(3)
    draws = [torch.randn(1, *LATENT) for _ in range(5)]
    replayed = compat.decode_tokens(
        tiny_codec, tokens, num_steps=4, noise=lambda window, draw: draws[draw]
    )
    assert seeded.shape == (1, 1, 32_000)
    assert seeded.dtype == np.float32
    assert np.array_equal(seeded, replayed)
    assert not np.array_equal(seeded, compat.decode_tokens(tiny_codec, tokens, num_steps=4))


@pytest.mark.parametrize("shape", [(1, 10), (2, 10, 2), (1, 10, 3), (1, 0, 2)])
def test_tokens_of_another_shape_are_refused(
    tiny_codec: SemantiCodec, shape: tuple[int, ...]
) -> None:
    with pytest.raises(CodesError, match=r"give \[1, L, 2\]"):
        compat.decode_tokens(tiny_codec, torch.zeros(shape, dtype=torch.int64))


def test_the_class_takes_the_arguments_of_the_official_one(
    tiny_codec: SemantiCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("encoder.ckpt", "decoder.ckpt", codebook_name(100, 8192)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    asked = {}

    def from_official(**options: object) -> SemantiCodec:
        asked.update(options)
        return tiny_codec

    monkeypatch.setattr(compat.Codec, "from_official", from_official)
    codec = compat.SemantiCodec(
        token_rate=100,
        semantic_vocab_size=8192,
        ddim_sample_step=2,
        cfg_scale=1.0,
        checkpoint_path=tmp_path,
        device="cpu",
    )
    assert asked["codebook"] == tmp_path / codebook_name(100, 8192)
    assert asked["encoder"] == tmp_path / "encoder.ckpt"
    path = write_noise(tmp_path / "noise.wav", 5_000)
    assert codec.decode(codec.encode(path)).shape == (1, 1, 2 * 2560)

"""The codec's laws: exact lengths, nothing depends on the batch, seeds, streams, clear errors."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_codec
from semanticodec import Codes, SemantiCodec
from semanticodec.errors import AudioError, CodesError, ConfigError
from semanticodec.token_format import WINDOW_SAMPLES


def noise(num_samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(num_samples, generator=torch.Generator().manual_seed(seed))


def expected_positions(num_samples: int, token_rate: int) -> int:
    if token_rate == 25:
        return -(-num_samples // 5120) * 4
    return -(-num_samples // 2560) * (8 if token_rate == 100 else 4)


@pytest.mark.parametrize("token_rate", [100, 50, 25])
@pytest.mark.parametrize(
    "num_samples", [400, 2560, 5121, WINDOW_SAMPLES, WINDOW_SAMPLES + 1, 400_000]
)
def test_lengths_are_exact(token_rate: int, num_samples: int) -> None:
    codec = random_codec(token_rate)
    codes = codec.encode(noise(num_samples))
    assert codes.semantic.shape == (1, expected_positions(num_samples, token_rate))
    wav = codec.decode(codes, num_steps=1, guidance_scale=1.0)
    assert wav.shape == (1, 1, num_samples) and wav.dtype == torch.float32
    assert wav.isfinite().all() and wav.std() > 0


def test_items_do_not_depend_on_their_batch(tiny_codec: SemantiCodec) -> None:
    items = [noise(200_000, 1), noise(30_000, 2), noise(400, 3)]
    batch = tiny_codec.encode(items)
    wavs = tiny_codec.decode(batch, num_steps=2, seed=5)
    for index, item in enumerate(items):
        alone = tiny_codec.encode(item)
        assert torch.equal(alone.semantic, batch[index].semantic)
        assert torch.equal(alone.acoustic, batch[index].acoustic)
        wav = tiny_codec.decode(alone, num_steps=2, seed=5)
        assert torch.equal(wav[0, 0], wavs[index, 0, : len(item)])


@settings(max_examples=6, deadline=None)
@given(num_samples=st.integers(WINDOW_SAMPLES - 3000, 2 * WINDOW_SAMPLES + 3000))
def test_stream_gives_the_samples_of_decode(tiny_codec: SemantiCodec, num_samples: int) -> None:
    codes = tiny_codec.encode(noise(num_samples))
    blocks = list(tiny_codec.decode_stream(codes, num_steps=1, guidance_scale=1.0))
    assert all(block.shape[-1] <= WINDOW_SAMPLES for block in blocks)
    whole = tiny_codec.decode(codes, num_steps=1, guidance_scale=1.0)
    assert torch.equal(torch.cat(blocks, dim=-1), whole)


def unpadded(codec: SemantiCodec) -> SemantiCodec:
    """Return a codec of the same weights that computes short windows at their own length."""
    other = SemantiCodec(replace(codec.config, pads_windows=False))
    other.load_state_dict(codec.state_dict())
    return other


@pytest.mark.parametrize("token_rate", [100, 50, 25])
@pytest.mark.parametrize("num_samples", [400, 5120, 5121, 100_000, WINDOW_SAMPLES - 1])
def test_windows_without_padding_give_the_same_lengths(token_rate: int, num_samples: int) -> None:
    codec = unpadded(random_codec(token_rate))
    codes = codec.encode(noise(num_samples))
    assert codes.semantic.shape == (1, expected_positions(num_samples, token_rate))
    wav = codec.decode(codes, num_steps=1)
    assert wav.shape == (1, 1, num_samples) and wav.isfinite().all() and wav.std() > 0
    features = codec.features(noise(num_samples), layers="unquantized").chunk(2, dim=-1)
    assert codec.decode_features(*features, num_samples).shape == (1, 1, num_samples)


def test_only_the_last_window_can_do_without_padding(tiny_codec: SemantiCodec) -> None:
    wav = noise(WINDOW_SAMPLES + 30_000)
    padded, short = tiny_codec.encode(wav), unpadded(tiny_codec).encode(wav)
    assert torch.equal(padded.acoustic[:, :512], short.acoustic[:, :512])
    assert not torch.equal(padded.acoustic[:, 512:], short.acoustic[:, 512:])


def test_short_windows_use_the_start_of_the_noise(tiny_codec: SemantiCodec) -> None:
    codec = unpadded(tiny_codec)
    codes = codec.encode(noise(6000))

    def flat_then_wild(window: int, draw: int) -> torch.Tensor:
        values = torch.full((1, 8, 256, 16), 1e6)
        values[:, :, :16] = 0.1  # 6000 samples are two steps of 0.32 s, 16 latent frames
        return values

    wav = codec.decode(codes, num_steps=2, noise=flat_then_wild)
    expected = codec.decode(
        codes, num_steps=2, noise=lambda window, draw: torch.full((1, 8, 256, 16), 0.1)
    )
    assert torch.equal(wav, expected)


def test_batch_size_changes_no_more_than_rounding(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode([noise(500_000, 1), noise(30_000, 2)])
    one, *others = (
        tiny_codec.decode(codes, num_steps=2, guidance_scale=1.5, batch_size=size)
        for size in (1, 2, 7, None)
    )
    for other in others:
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="batch_size is 0; give 1 or more"):
        tiny_codec.decode(codes, batch_size=0)


def test_the_unconditional_context_is_prepared_once(
    tiny_codec: SemantiCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = random_codec()
    codes = tiny_codec.encode(noise(2 * WINDOW_SAMPLES))
    prepared: list[int] = []
    prepare = codec.decoder.unet.prepare_context

    def counted(context: torch.Tensor) -> object:
        prepared.append(len(context))
        return prepare(context)

    monkeypatch.setattr(codec.decoder.unet, "prepare_context", counted)
    codec.model_fingerprint = tiny_codec.model_fingerprint
    options = {
        "num_steps": 2,
        "guidance_scale": 2.0,
        "guidance_interval": (0.2, 0.9),
        "batch_size": 1,
    }
    first = codec.decode(codes, **options)
    assert len(prepared) == 4, "three windows, and no condition once"
    assert torch.equal(codec.decode(codes, **options), first)
    assert len(prepared) == 7, "three windows"
    for weight in codec.decoder.unet.parameters():
        weight.mul_(1.5)
    changed = codec.decode(codes, **options)
    assert len(prepared) == 11, "other weights: once more"
    fresh = random_codec()
    fresh.load_state_dict(codec.state_dict())
    fresh.model_fingerprint = tiny_codec.model_fingerprint
    assert torch.equal(fresh.decode(codes, **options), changed)


def test_seed_decides_the_result(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(20_000))
    first = tiny_codec.decode(codes, num_steps=2, seed=1)
    assert torch.equal(first, tiny_codec.decode(codes, num_steps=2, seed=1))
    assert not torch.equal(first, tiny_codec.decode(codes, num_steps=2, seed=2))


def test_decoding_leaves_the_global_generator_alone(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(20_000))
    torch.manual_seed(7)
    tiny_codec.decode(codes, num_steps=2)
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(after, torch.rand(1))


def test_given_noise_replaces_the_seed(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(200_000))
    drawn: list[tuple[int, int]] = []

    def zeros(window: int, draw: int) -> torch.Tensor:
        drawn.append((window, draw))
        return torch.zeros(1, 8, 256, 16)

    first = tiny_codec.decode(codes, num_steps=2, eta=1.0, noise=zeros)
    assert drawn[0] == (0, 0) and (1, 0) in drawn and (0, 1) in drawn
    assert torch.equal(first, tiny_codec.decode(codes, num_steps=2, eta=1.0, noise=zeros, seed=9))


def test_every_input_form_gives_the_same_codes(tiny_codec: SemantiCodec, tmp_path: Path) -> None:
    samples = np.round(noise(30_000).clamp(-1, 1).numpy() * 32767).astype(np.int16)
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, 16_000)
    as_float = samples.astype(np.float32) / 32768
    forms = [
        path,
        str(path),
        path.read_bytes(),
        samples,
        as_float,
        torch.from_numpy(as_float),
        np.stack([as_float, as_float]),
        torch.from_numpy(as_float).view(1, 1, -1),
    ]
    expected = tiny_codec.encode(forms[0])
    for form in forms[1:]:
        assert torch.equal(tiny_codec.encode(form).acoustic, expected.acoustic)
    both = tiny_codec.encode([path, as_float])
    assert len(both) == 2 and torch.equal(both.acoustic[0], both.acoustic[1])


@pytest.mark.parametrize("rate", [8000, 44_100, 96_000])
def test_other_rates_and_channels_are_taken(tiny_codec: SemantiCodec, rate: int) -> None:
    codes = tiny_codec.encode(np.zeros((1, 8, rate), dtype=np.float32), sample_rate=rate)
    assert codes.num_samples == (16_000,)


@pytest.mark.parametrize("num_samples", [0, 1, 399])
def test_audio_shorter_than_a_frame_is_refused(tiny_codec: SemantiCodec, num_samples: int) -> None:
    with pytest.raises(AudioError, match=f"{num_samples} samples.*at least 400"):
        tiny_codec.encode(torch.zeros(num_samples))


def test_digital_silence_round_trips(tiny_codec: SemantiCodec) -> None:
    wav = tiny_codec.decode(tiny_codec.encode(torch.zeros(16_000)), num_steps=1)
    assert wav.shape == (1, 1, 16_000) and wav.isfinite().all()


def test_features_are_what_the_codes_name(tiny_codec: SemantiCodec) -> None:
    wav = noise(200_000)
    codes = tiny_codec.encode(wav)
    everything = tiny_codec.features(wav, layers="all")
    acoustic, semantic = (
        tiny_codec.features(wav, layers=name) for name in ("acoustic", "semantic")
    )
    assert torch.equal(everything, torch.cat([acoustic, semantic], dim=-1))
    table = tiny_codec.encoder.semantic.codebook(tiny_codec.semantic_vocab_size)
    assert torch.equal(semantic[0], table[codes.semantic[0]])
    assert tiny_codec.features(wav, layers="continuous").shape == semantic.shape
    with pytest.raises(ConfigError, match="'nothing'.*continuous"):
        tiny_codec.features(wav, layers="nothing")


def test_properties_follow_table_1(tiny_codec: SemantiCodec) -> None:
    assert tiny_codec.sample_rate == 16_000
    assert (tiny_codec.token_rate, tiny_codec.num_codebooks) == (100, 2)
    assert tiny_codec.positions_per_second == 50.0
    assert tiny_codec.frame_rate == tiny_codec.columns_per_second == 6.25
    assert tiny_codec.frame_rate * tiny_codec.hop_length == tiny_codec.sample_rate
    assert tiny_codec.vocab_sizes == (128, 64)
    assert tiny_codec.semantic_vocab_size == 128 and tiny_codec.acoustic_vocab_size == 64
    assert tiny_codec.bitrate == 50 * (7 + 6)


def test_another_vocabulary_is_another_codec(tmp_path: Path) -> None:
    from semanticodec.checkpoints.pretrained import write_model
    from semanticodec.config import tiny

    codec = random_codec()
    state = codec.state_dict()
    state["encoder.semantic.codebook_64"] = torch.randn(64, 8)
    write_model(tmp_path, tiny(), state)
    small = SemantiCodec.from_pretrained(tmp_path, semantic_vocab_size=64)
    large = SemantiCodec.from_pretrained(tmp_path)
    assert (small.semantic_vocab_size, large.semantic_vocab_size) == (64, 128)
    with pytest.raises(CodesError, match="semantic_vocab_size 64, this model has 128"):
        large.decode(small.encode(noise(5000)))


def test_codes_of_another_model_are_refused(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(5000))
    foreign = replace(codes, fingerprint=b"another!")
    with pytest.raises(CodesError, match="come from model"):
        tiny_codec.decode(foreign)
    unknown = replace(codes, fingerprint=bytes(8))
    assert tiny_codec.decode(unknown, num_steps=1).shape == (1, 1, 5000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps"),
        ({"num_steps": 1001}, "num_steps"),
        ({"eta": 1.5}, "eta"),
        ({"sampler": "euler"}, "'euler'.*ddim"),
        ({"guidance_scale": float("nan")}, "guidance_scale"),
    ],
)
def test_settings_out_of_range_are_named(
    tiny_codec: SemantiCodec, options: dict, message: str
) -> None:
    codes = tiny_codec.encode(noise(5000))
    with pytest.raises(ConfigError, match=message):
        tiny_codec.decode(codes, **options)


def test_decode_takes_codes_only(tiny_codec: SemantiCodec) -> None:
    with pytest.raises(CodesError, match="Tensor is not Codes.*from_stacked"):
        tiny_codec.decode(torch.zeros(1, 2, 8))  # type: ignore[arg-type]
    codes = tiny_codec.encode([noise(5000), noise(5000)])
    with pytest.raises(CodesError, match="one item, not 2"):
        next(tiny_codec.decode_stream(codes))


def test_lower_precision_decoder_keeps_the_codes(
    tiny_folder: Path, tiny_codec: SemantiCodec
) -> None:
    half = SemantiCodec.from_pretrained(tiny_folder, dtype=torch.bfloat16)
    wav = noise(30_000)
    codes = half.encode(wav)
    assert torch.equal(codes.acoustic, tiny_codec.encode(wav).acoustic)
    decoded = half.decode(codes, num_steps=2)
    assert decoded.dtype == torch.float32 and decoded.isfinite().all()


def test_codes_survive_file_and_layouts(tiny_codec: SemantiCodec, tmp_path: Path) -> None:
    codes = tiny_codec.encode(noise(200_000))
    codes.save(tmp_path / "clip.smtc")
    assert Codes.load(tmp_path / "clip.smtc") == codes


PEAK = """
import resource, sys
from semanticodec import SemantiCodec

codec = SemantiCodec.from_pretrained(sys.argv[1])
codes = codec.encode(sys.argv[2])
print(codes.num_samples[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in kilobytes")
def test_hours_of_silence_take_the_memory_of_a_minute(tiny_folder: Path, tmp_path: Path) -> None:
    peaks = []
    for minutes in (1, 180):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", 16_000, 1) as sound:
            for _ in range(minutes):
                sound.write(np.zeros(16_000 * 60))
        assert path.stat().st_size < 1_000_000
        program = [sys.executable, "-c", PEAK, str(tiny_folder), str(path)]
        found = subprocess.run(program, capture_output=True, check=True, text=True).stdout.split()
        assert int(found[0]) == 16_000 * 60 * minutes
        peaks.append(int(found[1]) / 1000)
    assert peaks[1] < peaks[0] + 100  # MB; as samples they would be 690

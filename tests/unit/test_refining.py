"""Searching for acoustic codes: nearer mels at the same rate, whatever way the sound comes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from conftest import random_codec
from semanticodec import Codes, SemantiCodec
from semanticodec.audio.mel_distance import mel_distance
from semanticodec.decoder.sampling import SamplingConfig
from semanticodec.encoder.finite_scalar_quantizer import FiniteScalarQuantizer
from semanticodec.errors import CodesError, ConfigError
from semanticodec.refining import _Search
from semanticodec.token_format import WINDOW_SAMPLES

SPEECH = Path(__file__).parents[2] / "demo" / "examples" / "speech.flac"


@pytest.fixture(scope="module")
def built_in() -> SemantiCodec:
    return SemantiCodec.from_pretrained()


@pytest.fixture(scope="module")
def codec() -> SemantiCodec:
    """A tiny codec that decodes in one step, without guidance."""
    return one_step_codec()


def one_step_codec() -> SemantiCodec:
    tiny = random_codec()
    sampling = SamplingConfig(num_steps=1, guidance_scale=1.0)
    decoder = replace(tiny.config.decoder, sampling=sampling)
    codec = SemantiCodec(replace(tiny.config, decoder=decoder, pads_windows=False))
    codec.load_state_dict(tiny.state_dict())
    return codec


def noise(num_samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(num_samples, generator=torch.Generator().manual_seed(seed))


def mel_of(codec: SemantiCodec, codes: Codes) -> torch.Tensor:
    windows = codec.windows_decoder()
    item = codec.coded_recording(codes)
    window = windows.windows(item)[0]
    with torch.no_grad():
        return windows.mel_of(window, *item.features(window.start, window.end))


def speech(start: int, num_samples: int) -> torch.Tensor:
    wav, _ = soundfile.read(SPEECH, start=start, frames=num_samples, dtype="float32")
    return torch.from_numpy(wav)


def test_refined_codes_decode_to_a_nearer_mel_at_the_same_rate(built_in: SemantiCodec) -> None:
    codec, wav = built_in, speech(0, 20_480)
    codes = codec.encode(wav)
    refined = codec.refine(codes, wav, num_steps=6)
    assert torch.equal(refined.semantic, codes.semantic)
    assert refined.num_samples == codes.num_samples and refined.format == codes.format
    assert refined.fingerprint == codes.fingerprint
    target = codec.mel(wav[None])
    before, after = (
        sum(mel_distance(mel_of(codec, each), target, 60.0)) for each in (codes, refined)
    )
    assert after < 0.99 * before
    assert codec.decode(refined).shape == (1, 1, len(wav))


def test_items_are_refined_as_they_are_alone(built_in: SemantiCodec) -> None:
    items = [speech(0, 9000), speech(9000, 13_000)]
    codes = built_in.encode(items)
    refined = built_in.refine(codes, items, num_steps=3)
    for index, item in enumerate(items):
        alone = built_in.refine(codes[index], item, num_steps=3)
        assert alone == refined[index] and alone != codes[index]


def test_a_window_does_not_depend_on_those_behind_it(built_in: SemantiCodec) -> None:
    wav = speech(0, 40_000).repeat(6)[: WINDOW_SAMPLES + 20_000]
    codes = built_in.encode(wav)
    whole = built_in.format.positions_per_window
    first = built_in.codes_from(codes.stacked()[:, :, :whole])
    refined = built_in.refine(codes, wav, num_steps=2)
    alone = built_in.refine(first, wav[:WINDOW_SAMPLES], num_steps=2)
    assert torch.equal(refined.acoustic[:, :whole], alone.acoustic)
    assert not torch.equal(refined.acoustic[:, whole:], codes.acoustic[:, whole:])


@pytest.mark.parametrize("is_disturbed", ["inference", "no gradients", "autocast"])
def test_the_program_around_does_not_matter(codec: SemantiCodec, is_disturbed: str) -> None:
    wav = noise(5120)
    codes = codec.encode(wav)
    wanted = codec.refine(codes, wav, num_steps=2)
    around = {
        "inference": torch.inference_mode(),
        "no gradients": torch.no_grad(),
        "autocast": torch.autocast("cpu", dtype=torch.bfloat16),
    }
    with around[is_disturbed]:
        assert codec.refine(codes, wav, num_steps=2) == wanted
    assert all(parameter.grad is None for parameter in codec.parameters())


def test_what_cannot_be_refined_is_refused(codec: SemantiCodec, tiny_codec: SemantiCodec) -> None:
    wav = noise(5120)
    codes = codec.encode(wav)
    with pytest.raises(CodesError, match="has 5000 samples at 16 kHz, but its codes stand for"):
        codec.refine(codes, wav[:5000], num_steps=1)
    long = codec.codes_from(codes.stacked().repeat(1, 1, 40))
    with pytest.raises(
        CodesError, match="has 5120 samples at 16 kHz, but its codes stand for 204800"
    ):
        codec.refine(long, wav, num_steps=1)
    with pytest.raises(CodesError, match="codes of 1 recordings, but 2 recordings"):
        codec.refine(codes, [wav, wav])
    for wrong in (0, 2.5, True, "many"):
        with pytest.raises(ConfigError, match="num_steps is .*give a whole number"):
            codec.refine(codes, wav, num_steps=wrong)
    with pytest.raises(ConfigError, match="decodes in several steps"):
        tiny_codec.refine(tiny_codec.encode(wav), wav)


@pytest.mark.parametrize(
    ("num_samples", "num_searched"), [(WINDOW_SAMPLES - 1, 0), (200_000, 1), (300_000, 1)]
)
def test_another_length_is_told_before_the_search_of_its_window(
    codec: SemantiCodec, monkeypatch: pytest.MonkeyPatch, num_samples: int, num_searched: int
) -> None:
    whole = codec.format.num_positions(220_000)
    codes = codec.codes_from(torch.zeros(1, 2, whole, dtype=torch.long), num_samples=[220_000])
    searched = []

    def run(self: _Search, codes: torch.Tensor, is_free: torch.Tensor) -> torch.Tensor:
        searched.append(self.window)
        return codes

    monkeypatch.setattr(_Search, "run", run)
    with pytest.raises(CodesError, match=f"has {num_samples} samples .* stand for 220000"):
        codec.refine(codes, noise(num_samples))
    assert len(searched) == num_searched


def test_codes_of_no_codebook_are_not_searched_for(codec: SemantiCodec) -> None:
    config = codec.config
    scalar = FiniteScalarQuantizer.Config(width=config.encoder.quantizer.width, levels=(8, 8))
    encoder = replace(config.encoder, quantizer=scalar)
    other = SemantiCodec(replace(config, encoder=encoder))
    wav = np.zeros(5120, dtype=np.float32)
    with pytest.raises(ConfigError, match="FiniteScalarQuantizer; codes are searched for in a"):
        other.refine(other.encode(wav), wav)


def test_a_model_in_half_precision_is_searched_with() -> None:
    half = one_step_codec()
    half.decoder.to(torch.bfloat16)
    wav = noise(5120)
    refined = half.refine(half.encode(wav), wav, num_steps=2)
    assert refined.num_positions == (16,)

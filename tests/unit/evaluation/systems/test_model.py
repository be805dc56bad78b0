"""Our codec as a system: exact lengths, honest bits, and bounds that differ in the quantizers."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from conftest import random_codec
from semanticodec import SemantiCodec
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import AudioError, CheckpointError, CodesError, ConfigError
from semanticodec.evaluation.systems import open_system

FAST = "steps=1,guidance=1"
DEMO = Path(__file__).parents[4] / "demo" / "examples"


@pytest.fixture(scope="module")
def systems(tiny_folder):
    """The three kinds over the tiny codec."""
    kinds = ("model", "oracle", "semantic-only")
    return {kind: open_system(f"{kind}:path={tiny_folder},{FAST}") for kind in kinds}


def test_decoding_features_is_decoding_their_codes(tiny_codec, noise):
    wav = noise(200_000)
    acoustic, semantic = tiny_codec.features(wav).chunk(2, dim=-1)
    settings = tiny_codec.sampling(num_steps=1, guidance_scale=1.0)
    made = tiny_codec.decode_features(acoustic, semantic, len(wav), settings, seed=3)
    codes = tiny_codec.encode(wav)
    assert torch.equal(made, tiny_codec.decode(codes, num_steps=1, guidance_scale=1.0, seed=3))


def test_features_must_fill_the_positions(tiny_codec):
    features = torch.zeros(1, 8, 8)
    with pytest.raises(CodesError, match=r"\(1, 8, 8\).*2561 samples take \(1, 16, 8\) each"):
        tiny_codec.decode_features(features, features, 2561)


@pytest.mark.parametrize(("token_rate", "num_samples"), [(100, 170_000), (25, 9000)])
def test_unquantized_features_are_what_the_quantizers_round(token_rate, num_samples, noise):
    codec = random_codec(token_rate)
    wav = noise(num_samples)
    acoustic, semantic = codec.features(wav, layers="unquantized").chunk(2, dim=-1)
    assert torch.equal(semantic, codec.features(wav, layers="continuous"))
    codes = codec.encode(wav)
    assert torch.equal(codec.encoder.quantizer.encode(acoustic), codes.acoustic)
    assert torch.equal(
        codec.encoder.semantic.encode(semantic, codec.semantic_vocab_size), codes.semantic
    )


def test_bypassing_a_quantizer_keeps_its_maps():
    torch.manual_seed(0)
    config = VectorQuantizer.Config(width=8, codebook_size=4, code_width=3, l2_normalize=True)
    quantizer = VectorQuantizer(config).eval()
    vectors = torch.randn(1, 4, 8)
    quantizer.embed.copy_(torch.nn.functional.normalize(quantizer.project_in(vectors)[0], dim=-1))
    assert torch.allclose(quantizer.bypass(vectors), quantizer.decode(torch.arange(4)[None]))


@pytest.mark.parametrize("num_samples", [400, 2561])
def test_lengths_are_exact_and_bits_those_of_the_positions(systems, clip, noise, num_samples):
    positions = -(-num_samples // 2560) * 8
    wav = noise(num_samples)
    bits = {}
    for kind, system in systems.items():
        made = system.reconstruct(wav, clip)
        assert made.wav.shape == (num_samples,) and made.wav.std() > 0
        bits[kind] = made.num_bits
    # The tiny codec has 128 semantic and 64 acoustic codes.
    expected = {"model": 13 * positions, "oracle": None, "semantic-only": 7 * positions}
    assert bits == expected


def test_codes_are_searched_for_where_a_system_asks_for_it(clip):
    wav, _ = soundfile.read(DEMO / "speech.flac", frames=9000, dtype="float32")
    codec = SemantiCodec.from_pretrained()
    nearest = codec.encode(wav)
    searched = codec.refine(nearest, wav, num_steps=3)
    assert searched != nearest
    for spec, codes in (("model", nearest), ("model:refine=3", searched)):
        made = open_system(spec).reconstruct(wav, clip)
        assert np.array_equal(made.wav, codec.decode(codes)[0, 0].numpy())
        assert made.num_bits == 28 * 32


def test_a_search_that_cannot_be_is_refused_before_the_first_clip(tiny_folder):
    with pytest.raises(ConfigError, match="decodes in several steps"):
        open_system(f"model:path={tiny_folder},refine=3")
    for kind in ("oracle", "semantic-only"):
        with pytest.raises(ConfigError, match=f"'{kind}' has no option 'refine'"):
            open_system(f"{kind}:path={tiny_folder},refine=3")
    with pytest.raises(ConfigError, match="refine is '0'; give a whole number from 1"):
        open_system("model:refine=0")


def test_the_model_is_what_encode_and_decode_give(systems, clip, noise, tiny_codec):
    wav = noise(30_000)
    decoded = tiny_codec.decode(tiny_codec.encode(wav), num_steps=1, guidance_scale=1.0)
    made = systems["model"].reconstruct(wav, clip)
    assert np.array_equal(made.wav, decoded[0, 0].numpy())


def test_the_bounds_change_the_condition_alone(systems, clip, noise, tiny_codec):
    wav = noise(9000)
    halves = {
        layers: tiny_codec.features(wav, layers=layers) for layers in ("semantic", "unquantized")
    }
    conditions = {
        "oracle": halves["unquantized"].chunk(2, dim=-1),
        "semantic-only": (torch.zeros_like(halves["semantic"]), halves["semantic"]),
    }
    for kind, condition in conditions.items():
        settings = systems[kind].settings
        expected = tiny_codec.decode_features(*condition, len(wav), settings)[0, 0].numpy()
        assert np.array_equal(systems[kind].reconstruct(wav, clip).wav, expected)


def test_only_the_seed_changes_a_result(tiny_folder, clip, noise):
    wavs = [
        open_system(f"model:path={tiny_folder},{FAST},seed={seed}")
        .reconstruct(noise(9000), clip)
        .wav
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(wavs[0], wavs[1]) and not np.array_equal(wavs[0], wavs[2])


def test_details_tell_the_settings_and_the_weights(tiny_folder, tiny_codec):
    options = "rate=100,vocab=128,steps=3,guidance=2.5,interval=0.25-0.75,eta=0.5,sampler=ddim"
    system = open_system(f"model:path={tiny_folder},{options},seed=7")
    details = system.details
    assert details == json.loads(json.dumps(details))
    assert details["token_rate"] == 100 and details["semantic_vocab_size"] == 128
    assert (details["num_steps"], details["guidance_scale"], details["eta"]) == (3, 2.5, 0.5)
    assert (details["guidance_interval"], details["seed"]) == ([0.25, 0.75], 7)
    weights = hashlib.sha256((tiny_folder / "model.safetensors").read_bytes()).hexdigest()
    assert details["weights_sha256"] == {"model.safetensors": weights}
    assert system.name == f"model:path={tiny_folder.name},{options},seed=7"
    assert str(tiny_folder.parent) not in json.dumps([details, system.name, system.spec])
    whole = open_system(f"model:path={tiny_folder}").details
    assert whole["fingerprint"] == tiny_codec.model_fingerprint.hex()
    standard = dataclasses.asdict(tiny_codec.sampling())
    assert {name: whole[name] for name in ("num_steps", "eta")}.items() <= standard.items()


def test_clips_shorter_than_a_frame_fail_alone(systems, clip, noise):
    for system in systems.values():
        with pytest.raises(AudioError, match="399 samples"):
            system.reconstruct(noise(399), clip)


def test_a_missing_model_is_named():
    with pytest.raises(CheckpointError, match="nowhere is no model folder"):
        open_system("model:path=nowhere")


def test_precision_is_an_option(tiny_folder, noise):
    full = open_system(f"model:path={tiny_folder},{FAST}")
    half = open_system(f"model:path={tiny_folder},{FAST},dtype=bfloat16")
    assert (full.details["dtype"], half.details["dtype"]) == ("float32", "bfloat16")
    codes = [system.codec.encode(noise(9000)) for system in (full, half)]
    assert torch.equal(codes[0].acoustic, codes[1].acoustic), "codes come before it"
    with pytest.raises(ConfigError, match="dtype is 'int8'; choose one of float32, bfloat16"):
        open_system(f"model:path={tiny_folder},dtype=int8")

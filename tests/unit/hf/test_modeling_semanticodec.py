"""The model does what codecs of transformers do, and computes what `SemantiCodec` computes."""

import inspect
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForAudioTokenization

from conftest import random_codec
from little_memory import little_memory
from semanticodec import SemantiCodec
from semanticodec.errors import AudioError, CheckpointError, CodesError, ConfigError
from semanticodec.hf import SemantiCodecConfig, SemantiCodecModel

LENGTHS = (9000, 3000)


@pytest.fixture(scope="module")
def wavs():
    generator = torch.Generator().manual_seed(0)
    return [0.1 * torch.randn(length, generator=generator) for length in LENGTHS]


@pytest.fixture(scope="module")
def inputs(extractor, wavs):
    return dict(extractor(wavs, sampling_rate=16_000, return_tensors="pt"))


# --- the same as SemantiCodec ---


def test_codes_are_those_of_the_codec_for_every_item_of_a_batch(model, quick_codec, wavs, inputs):
    encoded = model.encode(**inputs)
    assert encoded.audio_codes.shape == (2, 2, 32)
    assert encoded.audio_codes_mask.shape == (2, 1, 32)
    for wav, codes, mask in zip(wavs, encoded.audio_codes, encoded.audio_codes_mask):
        alone = quick_codec.encode(wav)
        assert torch.equal(codes[:, mask[0].bool()], alone.stacked()[0])
        assert not codes[:, ~mask[0].bool()].any()


def test_waveforms_are_those_of_the_codec_for_every_item_of_a_batch(
    model, quick_codec, wavs, inputs
):
    values = model(**inputs, seed=3).audio_values
    for wav, row in zip(wavs, values):
        alone = quick_codec.decode(quick_codec.encode(wav), seed=3)[0]
        torch.testing.assert_close(row[:, : len(wav)], alone, rtol=0, atol=1e-5)
        assert not row[:, len(wav) :].any()


def test_sampling_settings_reach_the_codec(model, quick_codec, wavs):
    codes = quick_codec.encode(wavs[0])
    few = model.codec.sampling(num_steps=2)
    decoded = model.decode(codes.stacked(), sampling=few).audio_values
    expected = quick_codec.decode(codes, num_steps=2)
    assert torch.equal(decoded[..., : expected.shape[-1]], expected)
    assert not torch.equal(decoded, model.decode(codes.stacked()).audio_values)


def test_latents_are_what_the_codes_stand_for(model, quick_codec, wavs, inputs):
    encoded = model.encode(**inputs, output_latents=True)
    expected = quick_codec.dequantize(quick_codec.encode(wavs)).mT  # B L D -> B D L
    assert torch.equal(encoded.latents, expected)
    mask = encoded.audio_codes_mask
    decoded = model.decode(encoded.audio_codes, audio_codes_mask=mask)
    again = model.decode(latents=encoded.latents, audio_codes_mask=mask)
    torch.testing.assert_close(again.audio_values, decoded.audio_values, rtol=0, atol=1e-5)


def test_codes_do_not_depend_on_the_precision(tmp_path, model, inputs):
    dtype = torch.bfloat16
    model.save_pretrained(tmp_path)
    half = SemantiCodecModel.from_pretrained(tmp_path, dtype=dtype)
    ours = SemantiCodec.from_pretrained(tmp_path, dtype=dtype).state_dict()
    assert {name: weight.dtype for name, weight in half.codec.state_dict().items()} == {
        name: weight.dtype for name, weight in ours.items()
    }
    assert torch.equal(half.encode(**inputs).audio_codes, model.encode(**inputs).audio_codes)


# --- what codecs of transformers do ---


def test_the_first_arguments_have_their_names():
    names = list(inspect.signature(SemantiCodecModel.forward).parameters)
    assert names[:4] == ["self", "input_values", "padding_mask", "output_latents"]
    assert SemantiCodecModel.main_input_name == "input_values"


@pytest.mark.parametrize("length", [400, 7001])
def test_the_output_is_as_long_as_the_input(model, length):
    output = model(0.1 * torch.randn(2, 1, length))
    assert output.audio_values.shape == (2, 1, length)


def test_the_same_input_gives_the_same_output(model, inputs):
    first, second = (model(**inputs).audio_values for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, model(**inputs, seed=1).audio_values)


def test_decoding_what_was_encoded_is_a_call_of_the_model(model, wavs):
    wav = wavs[0][None, None]
    whole = model(wav)
    codes = model.encode(wav).audio_codes
    assert torch.equal(codes, whole.audio_codes)
    decoded = model.decode(codes).audio_values
    assert decoded.shape[-1] == 4 * 2560
    assert torch.equal(decoded[..., : wav.shape[-1]], whole.audio_values)


def test_tuples_hold_what_dictionaries_hold(model, inputs):
    named = model(**inputs, output_latents=True)
    assert list(named) == ["audio_values", "audio_codes", "latents", "audio_codes_mask"]
    plain = model(**inputs, output_latents=True, return_dict=False)
    assert isinstance(plain, tuple)
    assert all(torch.equal(one, other) for one, other in zip(plain, named.values(), strict=True))
    codes, mask = model.encode(**inputs, return_dict=False)
    assert torch.equal(codes, named.audio_codes)
    assert torch.equal(mask, named.audio_codes_mask)
    (values,) = model.decode(codes, audio_codes_mask=mask, return_dict=False)
    assert torch.equal(values[0, :, : LENGTHS[0]], named.audio_values[0, :, : LENGTHS[0]])


def test_masks_may_have_an_axis_of_channels(model, inputs):
    plain = model(**inputs)
    mask = inputs["padding_mask"][:, None]
    assert torch.equal(model(inputs["input_values"], mask).audio_values, plain.audio_values)
    flat = model.decode(plain.audio_codes, audio_codes_mask=plain.audio_codes_mask[:, 0])
    square = model.decode(plain.audio_codes, audio_codes_mask=plain.audio_codes_mask)
    assert torch.equal(flat.audio_values, square.audio_values)


def test_a_saved_model_is_the_same_model(tmp_path, model, inputs):
    model.save_pretrained(tmp_path)
    loaded = AutoModelForAudioTokenization.from_pretrained(tmp_path)
    assert type(loaded) is SemantiCodecModel
    assert not loaded.training
    expected, found = model(**inputs), loaded(**inputs)
    assert torch.equal(found.audio_codes, expected.audio_codes)
    torch.testing.assert_close(found.audio_values, expected.audio_values, rtol=0, atol=1e-6)
    assert loaded.codec.model_fingerprint == model.codec.model_fingerprint


def test_weights_of_a_new_model_are_drawn_as_the_codec_draws_them():
    config = SemantiCodecConfig.from_codec_config(random_codec().config)
    torch.manual_seed(0)
    built = SemantiCodecModel(config)
    torch.manual_seed(0)
    codec = SemantiCodec(config.codec_config)
    found = built.codec.state_dict()
    for name, weight in codec.state_dict().items():
        assert torch.equal(found[name], weight), name


# --- files ---


def test_both_classes_open_what_the_model_saved(tmp_path, model, quick_codec, wavs):
    model.save_pretrained(tmp_path)
    ours = SemantiCodec.from_pretrained(tmp_path)
    assert ours.config == quick_codec.config
    assert ours.encode(wavs) == quick_codec.encode(wavs)


def test_a_model_is_saved_with_its_code_and_a_card(tmp_path, model):
    model.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("config.json", "model.safetensors", "README.md"),
        *("configuration_semanticodec.py", "modeling_semanticodec.py"),
    }
    assert json.loads((tmp_path / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_semanticodec.SemantiCodecConfig",
        "AutoModel": "modeling_semanticodec.SemantiCodecModel",
        "AutoModelForAudioTokenization": "modeling_semanticodec.SemantiCodecModel",
    }
    card = (tmp_path / "README.md").read_text()
    assert "100 tokens per second" in card
    assert "trust_remote_code=True" in card
    (tmp_path / "README.md").write_text("mine")
    model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_weights_that_do_not_fit_are_refused(tmp_path, model):
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    metadata = {"format": "pt"}
    removed = weights.pop("codec.decoder.latent_scale")
    save_file(weights, tmp_path / "model.safetensors", metadata)
    with pytest.raises(CheckpointError, match=r"1 missing keys, first codec\.decoder\.latent_sc"):
        AutoModel.from_pretrained(tmp_path)
    weights |= {"codec.decoder.latent_scale": removed, "codec.extra": torch.zeros(1)}
    save_file(weights, tmp_path / "model.safetensors", metadata)
    with pytest.raises(CheckpointError, match=r"1 unexpected keys, first codec\.extra"):
        AutoModel.from_pretrained(tmp_path)


# --- errors ---


def test_weights_that_are_no_numbers_are_refused(tmp_path, model):
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["codec.decoder.vae.conv_in.bias"][0] = torch.nan
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"NaN or infinite weights in decoder\.vae\.conv_in"):
        SemantiCodecModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(("module", "field"), [("audiomae", "depth"), ("acoustic", "num_layers")])
def test_far_larger_networks_than_the_weights_are_refused(tmp_path, model, module, field):
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    (setting,) = config["token_rates"].values()
    setting["config"]["encoder"][module][field] = 2**30
    path.write_text(json.dumps(config))
    with little_memory(), pytest.raises(ConfigError, match="far larger network"):
        SemantiCodecModel.from_pretrained(tmp_path)


@pytest.mark.usefixtures("unchecked_shapes")
def test_wrong_shapes_and_masks_are_explained(model):
    wav, codes = torch.zeros(2, 1, 5120), torch.zeros(2, 2, 16, dtype=torch.long)
    with pytest.raises(AudioError, match=r"\[2, 5120\]; give \[B, 1, T\]"):
        model.encode(wav[:, 0])
    with pytest.raises(AudioError, match=r"padding_mask of shape \[5120\]; give \[2, 5120\]"):
        model.encode(wav, torch.ones(5120))
    left = torch.ones(2, 5120)
    left[0, :100] = 0
    with pytest.raises(AudioError, match="padding at the front"):
        model.encode(wav, left)
    with pytest.raises(CodesError, match=r"\[2, 16\]; give \[B, 2, L\]"):
        model.decode(codes[:, 0])
    with pytest.raises(CodesError, match="15 positions; whole columns of 8"):
        model.decode(codes[..., :15])
    with pytest.raises(CodesError, match="either audio_codes or latents"):
        model.decode()

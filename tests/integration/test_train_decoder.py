"""`semanticodec train decoder` through the real command, on a model of several rates."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import WhisperConfig, WhisperModel

from semanticodec import SemantiCodec
from semanticodec.checkpoints.trained_module import load_codebooks
from semanticodec.cli import main
from semanticodec.errors import ConfigError
from semanticodec.recipes import decoder as recipes
from semanticodec.recipes import vocoder as vocoder_recipes
from semanticodec.training.data import Rank, draw_batch
from semanticodec.training.discriminators import FrameDiscriminator
from semanticodec.training.pieces import random_piece
from semanticodec.training.stages.decoder import NEVER, DecoderStage
from semanticodec.training.stages.vocoder import VocoderStage
from semanticodec.training.windows import WindowSource
from tiny_modules import export_audiomae, export_codebook, export_vae, export_vocoder, write_audio

RATES = (100, 50, 25)


def run(data, out, modules, *more):
    named = [f"--module={name}={folder}" for name, folder in modules.items()]
    command = ("train", "decoder", "--recipe", "tiny", "--quiet", "--steps", "8")
    return main([*command, "--data", str(data), "--output", str(out), *named, *more])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_audio(tmp_path_factory.mktemp("data"), seconds=(3.0,))


@pytest.fixture(scope="module")
def codec(data, tmp_path_factory):
    """A model of three rates, as `train codec` leaves it."""
    folder = tmp_path_factory.mktemp("modules")
    makers = {"audiomae": export_audiomae, "vae": export_vae, "vocoder": export_vocoder}
    named = [f"--module={name}={make(folder / name)}" for name, make in makers.items()]
    for rate in RATES:
        made = export_codebook(folder / f"codebook_{rate}", stack_factor=100 // rate)
        named.append(f"--module=codebook_{rate}={made}")
    command = ["train", "codec", "--recipe", "tiny_rates", "--quiet", "--steps", "1"]
    assert main([*command, "--data", str(data), "--output", str(folder / "codec"), *named]) == 0
    return {"codec": folder / "codec" / "export"}


@pytest.fixture(scope="module")
def trained(data, codec, tmp_path_factory):
    out = tmp_path_factory.mktemp("decoder")
    assert run(data, out, codec) == 0
    return out


def test_the_waveform_and_its_judges_join_in_when_the_recipe_says(trained):
    lines = [json.loads(line) for line in (trained / "scalars.jsonl").read_text().splitlines()]
    has = {
        name: [any(key.startswith(name) for key in line) for line in lines]
        for name in ("frame", "mel", "loss_discriminator")
    }
    assert has == {
        "frame": [True] * 8,
        "mel": [False] * 2 + [True] * 6,
        "loss_discriminator": [False] * 3 + [True] * 5,
    }
    values = [value for line in lines for value in line.values() if isinstance(value, float)]
    assert np.isfinite(values).all()


def test_the_export_is_a_model_of_all_rates_that_decodes_in_one_step(trained, codec):
    wav = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    told = []
    for rate in RATES:
        ours = SemantiCodec.from_pretrained(trained / "export", token_rate=rate)
        assert ours.sampling().num_steps == 1 and ours.sampling().guidance_scale == 1
        assert ours.decode(ours.encode(wav)).shape == (1, 1, 20_000)
        before = SemantiCodec.from_pretrained(codec["codec"], token_rate=rate)
        assert ours.config.encoder.acoustic.stack_factor == 100 // rate
        assert torch.equal(ours.encode(wav).semantic, before.encode(wav).semantic)
        assert ours.model_fingerprint != before.model_fingerprint
        told.append(ours.decoder.condition.told.cells.weight)
    # Every rate tells the decoder what its own codes do.
    assert not torch.equal(told[0], told[1]) and not torch.equal(told[1], told[2])


def test_discriminators_of_a_run_judge_the_next(trained, codec):
    modules = {**codec, "discriminators": trained / "discriminators"}
    stage = DecoderStage.build(
        replace(recipes.tiny().stage_config, trains_discriminators=False), modules
    )
    assert stage.active_groups(7) == ["generator"]
    fresh = DecoderStage.build(recipes.tiny().stage_config, codec)
    weights = [next(stage.periods.parameters()) for stage in (stage, fresh)]
    assert not torch.equal(*weights)


def test_a_run_stopped_and_resumed_is_the_same_run(trained, data, codec, tmp_path):
    for more in (["--minutes", "0"], ["--minutes", "0"], []):
        assert run(data, tmp_path, codec, *more) == 0
    for path in (trained / "export").glob("*.safetensors"):
        whole, resumed = load_file(path), load_file(tmp_path / "export" / path.name)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole), path.name


def test_a_run_goes_on_from_an_export_with_another_vocoder(trained, data, tmp_path):
    torch.manual_seed(0)
    vocoder = tmp_path / "vocoder"
    VocoderStage(vocoder_recipes.tiny_harmonic().stage_config).export(vocoder)
    modules = {"codec": trained / "export", "vocoder": vocoder}
    config = replace(recipes.tiny().stage_config, renews_acoustic=False, context_transformer=None)
    stage = DecoderStage.build(config, modules)
    stage.export(tmp_path / "export")
    before = SemantiCodec.from_pretrained(trained / "export")
    after = SemantiCodec.from_pretrained(tmp_path / "export")
    wav = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    assert after.encode(wav) == before.encode(wav)
    assert type(after.decoder.vocoder).__name__ == "HarmonicVocos"


def stage_and_batch(codec, data, folder, **changes):
    torch.manual_seed(0)
    recipe = recipes.tiny()
    stage = DecoderStage.build(replace(recipe.stage_config, **changes), codec)
    source = stage.prepare(
        WindowSource.find((data,), recipe.crops), folder=folder, is_resumed=False
    )
    batch = draw_batch(source, seed=0, step=5, batch_size=2, rank=Rank())
    return stage.train(), batch


def test_a_codec_of_the_release_s_form_is_fine_tuned(data, tiny_folder, tmp_path):
    stage, batch = stage_and_batch(
        {"codec": tiny_folder},
        data,
        tmp_path / "run",
        trains_acoustic=False,
        renews_acoustic=False,
        context_transformer=None,
        unet_start=0,
    )
    assert stage.rates[0].config.pads_windows
    loss = stage.training_step(batch, "generator").loss
    loss.backward()
    assert loss.isfinite()
    weights = (stage.decoder.unet.output_conv.weight, next(stage.decoder.vocoder.parameters()))
    assert all(weight.grad.abs().sum() > 0 for weight in weights)
    stage.export(tmp_path / "export")
    before, after = (
        SemantiCodec.from_pretrained(folder) for folder in (tiny_folder, tmp_path / "export")
    )
    wav = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    assert after.encode(wav) == before.encode(wav)
    assert after.sampling().num_steps == 1


def test_what_frozen_networks_hear_is_counted(codec, data, tmp_path):
    sizes = WhisperConfig(
        d_model=8, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=8, decoder_ffn_dim=8
    )
    sizes.encoder_attention_heads = sizes.decoder_attention_heads = 2
    WhisperModel(sizes).save_pretrained(tmp_path / "whisper")
    modules = {**codec, "recognizer": tmp_path / "whisper"}
    stage, batch = stage_and_batch(modules, data, tmp_path / "run", semantic_weight=2.0)
    output = stage.training_step(batch, "generator")
    heard = [name for name in output.scalars if name.startswith(("recognizer", "semantics"))]
    assert [name.split("_")[0] for name in sorted(heard)] == ["recognizer", "semantics"]
    assert all(output.scalars[name] > 0 for name in heard)
    # Checkpoints and exports do not hold the teachers.
    assert not any("teacher" in name or "places" in name for name in stage.state_dict())


def test_mels_are_judged_by_the_vocoder_s_frames(codec, data, tmp_path):
    stage, batch = stage_and_batch(
        codec,
        data,
        tmp_path,
        trains_acoustic=False,
        unet_start=0,
        vocoder_start=NEVER,
        discriminator_start=0,
        frames=FrameDiscriminator.Config(channels=(4, 4)),
    )
    groups = stage.optimizer_groups()
    output = stage.training_step(batch, "generator")
    assert any(name.startswith("adversarial") for name in output.scalars)
    output.loss.backward()
    assert stage.decoder.unet.output_conv.weight.grad.abs().sum() > 0
    for parameter in groups["discriminator"]:
        parameter.grad = None
    stage.training_step(batch, "discriminator").loss.backward()
    assert all(parameter.grad is not None for parameter in groups["discriminator"])
    assert all(parameter.grad is None for parameter in stage.frames.vocoder.parameters())
    stage.export_aids(tmp_path / "run", 9)
    assert (tmp_path / "run" / "discriminators" / "frames" / "config.json").is_file()


def test_what_cannot_be_read_from_a_condition_is_refused(trained, codec):
    config = replace(recipes.tiny().stage_config, unet_start=0, starts_output=True)
    config = replace(config, context_transformer=None, renews_acoustic=False)
    with pytest.raises(ConfigError, match="train decoder/small_context first"):
        DecoderStage.build(config, codec)
    with pytest.raises(ConfigError, match="needs a VAE with a linear shortcut"):
        DecoderStage.build(config, {"codec": trained / "export"})


def test_gradients_reach_everything_that_is_to_learn_and_nothing_else(codec, data, tmp_path):
    stage, batch = stage_and_batch(codec, data, tmp_path)
    stage.training_step(batch, "generator").loss.backward()
    trained = [
        name
        for name, parameter in stage.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().sum() > 0
    ]
    for part in ("decoder.unet.", "decoder.vae.", "decoder.vocoder.", ".encoder.acoustic."):
        assert any(part in name for name in trained), part
    assert not any(name.startswith("features.") for name in trained)
    # What is told has to stay the same for all acoustic encoders and the decoder.
    assert not any(".told." in name for name in trained)


def test_codes_that_are_kept_do_not_move(codec, data, tmp_path):
    stage, batch = stage_and_batch(
        codec, data, tmp_path, trains_acoustic=False, renews_acoustic=False
    )
    state = [rate.encoder.state_dict() for rate in stage.rates]
    before = [{name: value.clone() for name, value in part.items()} for part in state]
    stage.training_step(batch, "generator").loss.backward()
    for old, rate in zip(before, stage.rates, strict=True):
        now = rate.encoder.state_dict()
        assert all(torch.equal(old[name], now[name]) for name in old)
        assert all(parameter.grad is None for parameter in rate.encoder.parameters())


def test_samples_are_one_process_s_affair(codec, data, tmp_path, monkeypatch):
    """Only the main process draws them: waiting for the others there would be forever."""
    stage, batch = stage_and_batch(codec, data, tmp_path)

    def refused(tensor):
        raise AssertionError("samples wait for other processes")

    monkeypatch.setattr("semanticodec.encoder.quantizer.sum_over_processes", refused)
    with torch.no_grad():
        samples = stage.eval().samples(batch)
    assert set(samples) == {"original", *(f"decoded_{rate}" for rate in RATES)}


def test_a_piece_is_a_part_of_its_window(codec, data, tmp_path):
    stage, batch = stage_and_batch(codec, data, tmp_path, renews_acoustic=False)
    piece = random_piece(batch, stage.config.piece_columns)
    for item, first in enumerate(piece.first_columns.tolist()):
        window = batch.extra["samples"][item, 2560 * first :][: piece.wav.shape[1]]
        torch.testing.assert_close(piece.wav[item], window.float() / 32767)
        rows = batch.extra["features"][item, 8 * first :][: 8 * 4]
        assert torch.equal(piece.inputs["features"][item], rows)


def test_what_cannot_be_trained_is_refused(codec, data, tmp_path):
    with pytest.raises(ConfigError, match="--module codec=MODEL"):
        DecoderStage.build(recipes.tiny().stage_config, {})
    with pytest.raises(ConfigError, match="Pieces of 5 columns"):
        DecoderStage.Config(piece_columns=5)
    with pytest.raises(ConfigError, match="cannot see 999 frames"):
        DecoderStage.Config(vocoder_frames=999)
    with pytest.raises(ConfigError, match="Pieces of 32 frames are too short for envelopes"):
        DecoderStage.Config(piece_columns=2, vocoder_frames=10, envelope_weight=1.0)


def test_semantic_codes_of_another_audiomae_come_with_new_acoustic_ones(codec, data, tmp_path):
    books = {
        f"codebook_{rate}": export_codebook(
            tmp_path / f"{rate}", stack_factor=100 // rate, vocab_sizes=(8, 24)
        )
        for rate in RATES
    }
    modules = {**codec, "audiomae": export_audiomae(tmp_path / "audiomae"), **books}
    config = recipes.tiny().stage_config
    stage = DecoderStage.build(config, modules)
    stage.export(tmp_path / "export")
    ours = SemantiCodec.from_pretrained(tmp_path / "export", token_rate=50)
    assert ours.format.semantic_vocab_size == 24
    width = ours.config.encoder.semantic.width
    expected = load_codebooks(books["codebook_50"], width=width, stack_factor=2)
    assert torch.equal(ours.encoder.semantic.codebook(24), expected[24])
    with pytest.raises(ConfigError, match="have to start anew, too"):
        DecoderStage.build(replace(config, renews_acoustic=False), modules)
    del modules["codebook_25"]
    with pytest.raises(ConfigError, match="a codebook for every token rate"):
        DecoderStage.build(config, modules)

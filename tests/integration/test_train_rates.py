"""`semanticodec train codec` for several token rates around one T-UNet."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from semanticodec import SemantiCodec
from semanticodec.cli import main
from semanticodec.recipes import codec as recipes
from semanticodec.training.data import Batch, Rank, draw_batch
from semanticodec.training.stages.codec import CodecStage
from tiny_modules import export_audiomae, export_codebook, export_vae, export_vocoder, write_audio

RATES = (100, 50, 25)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_audio(tmp_path_factory.mktemp("data"), seconds=(3.0, 12.0))


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    makers = {"audiomae": export_audiomae, "vae": export_vae, "vocoder": export_vocoder}
    made = {name: make(folder / name) for name, make in makers.items()}
    for rate in RATES:
        name = f"codebook_{rate}"
        made[name] = export_codebook(folder / name, stack_factor=100 // rate)
    return made


def train(data, out, modules, *more):
    named = [f"--module={name}={folder}" for name, folder in modules.items()]
    command = ("train", "codec", "--recipe", "tiny_rates", "--quiet", "--steps", "9")
    return main([*command, "--data", str(data), "--output", str(out), *named, *more])


def records(out):
    return [json.loads(line) for line in (out / "scalars.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole_run(data, modules, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert train(data, out, modules) == 0
    return out


def test_every_rate_has_its_turn_and_its_own_curves(whole_run):
    rates = [
        {rate for rate in RATES if f"reconstruction_{rate}" in record}
        for record in records(whole_run)
    ]
    assert len(rates) == 9 and all(len(found) == 1 for found in rates)
    assert set.union(*rates) == set(RATES)


def test_the_export_is_one_model_whose_rates_share_what_is_alike(whole_run):
    export = whole_run / "export"
    names = {path.name for path in export.glob("*.safetensors")}
    own = {f"{module}_{rate}.safetensors" for module in ("semantic", "acoustic") for rate in RATES}
    assert names == {"audiomae.safetensors", "decoder.safetensors", *own}
    wav = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    codecs = [SemantiCodec.from_pretrained(export, token_rate=rate) for rate in RATES]
    lengths = [codec.encode(wav).semantic.shape[1] for codec in codecs]
    assert lengths == [64, 32, 16]
    for codec in codecs:
        assert codec.decode(codec.encode(wav)).shape == (1, 1, 20_000)
        for name, weight in codecs[0].decoder.unet.named_parameters():
            assert torch.equal(weight, codec.decoder.unet.get_parameter(name))
    assert SemantiCodec.from_pretrained(export).token_rate == 100


def test_a_run_stopped_and_resumed_is_the_same_run(whole_run, data, modules, tmp_path):
    for more in (["--minutes", "0"], ["--minutes", "0"], []):
        assert train(data, tmp_path, modules, *more) == 0
    for path in (whole_run / "export").glob("*.safetensors"):
        whole, resumed = load_file(path), load_file(tmp_path / "export" / path.name)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_can_start_from_an_earlier_model(whole_run, data, modules, tmp_path):
    init = ("--init", str(whole_run / "export"), "--steps", "0")
    assert train(data, tmp_path, modules, *init) == 0
    for path in (whole_run / "export").glob("*.safetensors"):
        earlier, started = load_file(path), load_file(tmp_path / "export" / path.name)
        assert all(torch.equal(earlier[name], started[name]) for name in earlier)


def test_a_small_export_keeps_the_codes(whole_run, data, modules, tmp_path):
    init = ("--init", str(whole_run / "export"), "--steps", "0", "--half")
    assert train(data, tmp_path, modules, *init) == 0
    for rate in RATES:
        full = load_file(whole_run / "export" / f"semantic_{rate}.safetensors")
        small = load_file(tmp_path / "export" / f"semantic_{rate}.safetensors")
        assert small["encoder.semantic.codebook_16"].dtype == torch.int8
        loaded = SemantiCodec.from_pretrained(tmp_path / "export", token_rate=rate)
        codebook = loaded.encoder.semantic.codebook(16)
        assert torch.equal(codebook, full["encoder.semantic.codebook_16"])


def test_one_rate_can_start_from_a_model_of_several(whole_run, modules):
    common = {name: modules[name] for name in ("audiomae", "vae", "vocoder")}
    config = replace(recipes.tiny_rates().stage_config, stack_factors=(2,))
    stage = CodecStage.build(config, {**common, "codebook": modules["codebook_50"]})
    stage.initialize(whole_run / "export")
    own, model = (
        stage.codec_state(stage.rates[0]),
        load_file(whole_run / "export" / "acoustic_50.safetensors"),
    )
    assert all(torch.equal(own[name], model[name]) for name in model)


def test_a_codebook_without_a_rate_is_refused(data, modules, tmp_path, capsys):
    assert train(data, tmp_path, {**modules, "codebook": modules["codebook_50"]}) == 2
    assert "in place of --module codebook give codebook_100, codebook_50" in capsys.readouterr().err


def test_all_rates_may_know_their_largest_vocabulary_only(modules):
    recipe = recipes.tiny_rates()
    fixed = replace(recipe.stage_config, is_vocabulary_fixed=True)
    stage = recipe.stage.build(fixed, modules)
    assert [rate.vocab_sizes for rate in stage.rates] == [(16,)] * 3


def test_a_missing_codebook_is_named(data, modules, tmp_path, capsys):
    some = {name: folder for name, folder in modules.items() if name != "codebook_50"}
    assert train(data, tmp_path, some) == 2
    assert "missing: codebook_50" in capsys.readouterr().err


def test_the_modules_in_common_are_one_object_and_trained_once(data, modules, tmp_path):
    recipe = recipes.tiny_rates()
    stage = recipe.stage.build(recipe.stage_config, modules)
    state = stage.state_dict()
    assert not [name for name in state if name.startswith("rates.") and "audiomae" in name]
    assert len([name for name in state if name.endswith("unet.input_conv.weight")]) == 1
    assert len({tensor.data_ptr() for tensor in state.values() if tensor.numel()}) == len(
        [tensor for tensor in state.values() if tensor.numel()]
    )
    [group] = stage.optimizer_groups().values()
    assert len({id(parameter) for parameter in group}) == len(group)


def test_unquantized_features_reach_the_t_unet_for_their_share(data, modules, tmp_path):
    recipe = recipes.tiny_rates()
    stage = recipe.stage.build(recipe.stage_config, modules)
    source = stage.prepare(
        recipe.open_source((data,), recipe.crops), folder=tmp_path, is_resumed=False
    )
    batch = draw_batch(source, 0, 0, 16, Rank())
    rate = stage.eval().rates[1]
    inputs = rate.stacked(stage.inputs(batch))
    encoded = rate.encode(inputs, batch)
    seeds = [generator.initial_seed() for generator in batch.generators]
    again = [torch.Generator().manual_seed(seed) for seed in seeds]
    context = rate.context(
        encoded, inputs["num_positions"], Batch(wav=batch.wav, generators=again, step=0)
    )
    exact = rate.condition(rate.encoder.quantizer.bypass(encoded.vectors), encoded.features, 256)
    is_exact = torch.isclose(context[:, :8], exact[:, :8]).flatten(1).all(dim=1)
    assert 3 <= is_exact.sum() <= 13


def test_the_acoustic_encoder_rests_until_its_start(data, modules, tmp_path):
    recipe = recipes.tiny_rates()
    stage = recipe.stage.build(recipe.stage_config, modules)
    source = stage.prepare(
        recipe.open_source((data,), recipe.crops), folder=tmp_path, is_resumed=False
    )
    trained = set(stage.optimizer_groups()["codec"])
    for rate in stage.rates:
        assert not trained & set(rate.encoder.quantizer.parameters())
        assert trained >= set(rate.encoder.acoustic.parameters())
    for step in (0, 1, 2, 3):
        stage.zero_grad(set_to_none=True)
        stage.train().training_step(draw_batch(source, 0, step, 2, Rank()), "codec").loss.backward()
        moved = [p for rate in stage.rates for p in rate.encoder.acoustic.parameters()]
        assert any(p.grad is not None for p in moved) == (step >= 2)
        assert all(p.grad is not None for p in stage.decoder.unet.parameters())


def test_codes_start_on_the_principal_axes(data, modules, tmp_path):
    recipe = recipes.tiny_rates()
    stage = recipe.stage.build(recipe.stage_config, modules)
    stage.prepare(recipe.open_source((data,), recipe.crops), folder=tmp_path, is_resumed=False)
    for rate in stage.rates:
        quantizer = rate.encoder.quantizer
        axes = quantizer.project_in.weight
        torch.testing.assert_close(axes @ axes.T, torch.eye(len(axes)), rtol=0, atol=1e-5)
        vectors = torch.randn(1, 9, axes.shape[1])
        once = quantizer.bypass(vectors)
        torch.testing.assert_close(quantizer.bypass(once), once, rtol=1e-4, atol=1e-4)

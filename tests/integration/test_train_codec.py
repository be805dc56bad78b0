"""`semanticodec train codec` through the real command: a run, exact resume, a codec that works."""

import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from semanticodec import Codes, SemantiCodec
from semanticodec.cli import main
from semanticodec.errors import CodesError
from semanticodec.lm import SemanticDomains
from semanticodec.recipes import codec as recipes
from semanticodec.token_format import WINDOW_SAMPLES
from semanticodec.training.data import Batch, Rank, draw_batch
from semanticodec.training.stages.codec import CodecStage
from tiny_modules import (
    export_audiomae,
    export_codebook,
    export_vae,
    export_vocoder,
    write_audio,
)

COMMAND = "import sys; from semanticodec.cli import main; sys.exit(main())"
MAKERS = {
    "audiomae": export_audiomae,
    "vae": export_vae,
    "vocoder": export_vocoder,
    "codebook": export_codebook,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_audio(tmp_path_factory.mktemp("data"), seconds=(3.0, 6.0, 12.0))


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    return {name: make(folder / name) for name, make in MAKERS.items()}


def arguments(data, out, modules, *more, recipe="tiny"):
    named = [f"--module={name}={folder}" for name, folder in modules.items()]
    return [
        *("train", "codec", "--recipe", recipe, "--quiet"),
        *("--data", str(data), "--output", str(out), *named, *more),
    ]


def records(out):
    return [json.loads(line) for line in (out / "scalars.jsonl").read_text().splitlines()]


def losses(out):
    return {record["step"]: record["loss"] for record in records(out)}


@pytest.fixture(scope="module")
def whole_run(data, modules, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(arguments(data, out, modules)) == 0
    return out


def test_a_run_records_losses_and_code_use(whole_run):
    assert sorted(losses(whole_run)) == [1, 2, 3, 4]
    for record in records(whole_run):
        parts = record["reconstruction"] + record["commitment"] + record["entropy"]
        assert record["loss"] == pytest.approx(parts, rel=1e-5)
        assert 1 <= record["perplexity"] <= record["num_used_codes"] <= 16
        assert 0 <= record["share_of_codes_used"] <= 1
    [events] = (whole_run / "tensorboard").iterdir()
    assert b"sample_0" in events.read_bytes()


def test_the_export_is_a_codec_with_the_frozen_modules_as_they_were(whole_run, modules):
    codec = SemantiCodec.from_pretrained(whole_run / "export", semantic_vocab_size=8)
    assert codec.token_rate == 100
    assert SemanticDomains.from_config(codec.config).ranges["speech"] == range(6, 8)
    assert SemantiCodec.from_pretrained(whole_run / "export").semantic_vocab_size == 16
    state = codec.state_dict()
    for module, prefix in (
        ("audiomae", "encoder.audiomae."),
        ("vocoder", "decoder.vocoder."),
        ("codebook", "encoder.semantic."),
    ):
        weights = load_file(modules[module] / "model.safetensors")
        kept = [name for name in weights if prefix + name in state]
        assert kept
        assert all(torch.equal(weights[name], state[prefix + name]) for name in kept)
    wav = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    codes = codec.encode(wav)
    assert codec.decode(codes).shape == (1, 1, 20_000)


def test_a_run_stopped_after_every_step_is_the_same_run(whole_run, data, modules, tmp_path):
    for _ in range(4):
        assert main(arguments(data, tmp_path, modules, "--minutes", "0")) == 0
    assert losses(tmp_path) == losses(whole_run)
    stopped, whole = (
        load_file(run / "export" / "model.safetensors") for run in (tmp_path, whole_run)
    )
    assert all(torch.equal(stopped[name], whole[name]) for name in whole)


def test_a_run_can_start_from_an_earlier_codec(whole_run, data, modules, tmp_path):
    init = ("--init", str(whole_run / "export"), "--steps", "0")
    assert main(arguments(data, tmp_path, modules, *init)) == 0
    started, earlier = (
        load_file(run / "export" / "model.safetensors") for run in (tmp_path, whole_run)
    )
    assert all(torch.equal(started[name], earlier[name]) for name in earlier)


def test_an_earlier_codec_of_another_rate_is_refused(whole_run, data, modules, tmp_path, capsys):
    other = dict(modules, codebook=export_codebook(tmp_path / "codebook", stack_factor=2))
    init = ("--init", str(whole_run / "export"), "--steps", "0")
    assert main(arguments(data, tmp_path, other, *init, recipe="tiny_50")) == 2
    assert "has no 50 tokens per second; it offers 100" in capsys.readouterr().err


def test_an_earlier_codec_of_other_sizes_is_refused(whole_run, data, modules, tmp_path, capsys):
    earlier = shutil.copytree(whole_run / "export", tmp_path / "earlier")
    weights = load_file(earlier / "model.safetensors")
    name = "decoder.unet.input_conv.weight"
    save_file({**weights, name: weights[name][:-1].clone()}, earlier / "model.safetensors")
    init = ("--init", str(earlier), "--steps", "0")
    assert main(arguments(data, tmp_path / "run", modules, *init)) == 2
    error = capsys.readouterr().err
    assert "a codec of other sizes than the recipe's: 1 tensors" in error and name in error


def test_the_frozen_modules_may_run_inside_the_step(data, modules, tmp_path):
    other = dict(modules, codebook=export_codebook(tmp_path / "codebook", stack_factor=2))
    run = tmp_path / "run"
    assert main(arguments(data, run, other, "--steps", "2", recipe="tiny_50")) == 0
    assert not (run / "cache").exists()
    assert all(map(math.isfinite, losses(run).values()))
    codec = SemantiCodec.from_pretrained(run / "export")
    assert codec.token_rate == 50
    codes = codec.encode(np.random.default_rng(0).normal(0, 0.1, 3000).astype(np.float32))
    assert codec.decode(codes).shape == (1, 1, 3000)


def test_a_codec_may_have_another_quantizer(data, modules, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(arguments(data, run, modules, "--steps", "2", recipe="tiny_fsq")) == 0
    for record in records(run):
        assert record["loss"] == record["reconstruction"]
        assert 1 <= record["perplexity"] <= record["num_used_codes"] <= 4 * 3 * 2
    quantizer = json.loads((run / "export" / "config.json").read_text())["token_rates"]["100"][
        "config"
    ]["encoder"]["quantizer"]
    assert quantizer == {"class": "finite_scalar", "width": 16, "levels": [4, 3, 2]}
    codec = SemantiCodec.from_pretrained(run / "export")
    assert codec.acoustic_vocab_size == 32  # 24 codes take 5 bits
    wav = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    codes = codec.encode(wav)
    codes.save(tmp_path / "a.smtc")
    loaded = Codes.load(tmp_path / "a.smtc")
    assert loaded == codes and loaded.acoustic.max() < 24
    assert torch.equal(codec.decode(loaded, seed=1), codec.decode(codes, seed=1))
    foreign = codec.codes_from(torch.stack([codes.semantic, codes.acoustic.clamp_min(24)], dim=1))
    with pytest.raises(CodesError, match="run from 24 to 24, but this codebook holds 24 entries"):
        codec.decode(foreign)
    capsys.readouterr()
    assert main(["info", str(run / "export"), "--json"]) == 0
    [setting] = json.loads(capsys.readouterr().out)["settings"]
    assert setting["acoustic_vocab_size"] == 32
    again = ("--init", str(run / "export"), "--steps", "0")
    assert main(arguments(data, tmp_path / "again", modules, *again, recipe="tiny_fsq")) == 0
    started, earlier = (
        load_file(folder / "export" / "model.safetensors") for folder in (tmp_path / "again", run)
    )
    assert all(torch.equal(started[name], earlier[name]) for name in earlier)


def test_missing_modules_are_named(data, modules, tmp_path, capsys):
    some = {name: modules[name] for name in ("audiomae", "vae")}
    assert main(arguments(data, tmp_path, some)) == 2
    assert "missing: vocoder, codebook" in capsys.readouterr().err
    assert main(arguments(data, tmp_path, dict(modules, vocoder=modules["vae"]))) == 2
    assert "holds the module 'vae', not 'vocoder'" in capsys.readouterr().err


def test_two_processes_are_one_process_at_twice_the_batch(data, modules, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(arguments(data, one, modules, "--batch-size", "4", "--steps", "3")) == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [sys.executable, *torchrun, "--no-python", sys.executable, "-c", COMMAND]
        + arguments(data, two, modules, "--batch-size", "2", "--steps", "3"),
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)


@pytest.fixture(scope="module")
def stage_and_batches(data, modules, tmp_path_factory):
    """Return the stage in evaluation mode and one batch of windows, cached and not."""
    recipe = recipes.tiny()
    torch.manual_seed(0)
    stage = recipe.stage.build(recipe.stage_config, modules)
    audio = recipe.open_source((data,), recipe.crops)
    cached = stage.prepare(audio, folder=tmp_path_factory.mktemp("run"), is_resumed=False)
    windows = audio.varied(recipe.stage_config.joined_share)

    class SameWindows:
        def draw(self, rng):
            index = int(rng.integers(recipe.stage_config.cached_windows))
            rng = np.random.default_rng([recipe.stage_config.cache_seed, index])
            return windows.window((index + float(rng.random())) / 5, rng)

    assert isinstance(stage, CodecStage)
    sources = (cached, SameWindows())
    return stage.eval(), *(draw_batch(source, 3, 0, 4, Rank()) for source in sources)


def fresh(batch):
    seeds = [generator.initial_seed() for generator in batch.generators]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return Batch(wav=batch.wav, generators=generators, step=batch.step, extra=batch.extra)


def test_cached_windows_give_the_loss_of_windows_computed_in_the_step(stage_and_batches):
    stage, cached, uncached = stage_and_batches
    assert cached.wav.numel() == 0 and uncached.wav.shape[1] > WINDOW_SAMPLES
    # Whole and padded windows.
    assert len(set(cached.extra["num_positions"].tolist())) > 1
    first, second = (stage.training_step(fresh(batch), "codec") for batch in (cached, uncached))
    assert first.loss.item() == pytest.approx(second.loss.item(), rel=1e-3)


def test_little_data_is_prepared_in_as_many_windows_as_it_is_good_for(modules, tmp_path):
    recipe = recipes.tiny()
    data = write_audio(tmp_path / "data", seconds=(3.0,), domains=("music",))
    config = dataclasses.replace(recipe.stage_config, cached_windows=64)
    stage = CodecStage.build(config, modules)
    source = stage.prepare(
        recipe.open_source((data,), recipe.crops), folder=tmp_path, is_resumed=False
    )
    assert len(source) == 4
    assert len(list(stage._examples(source, 100))) == 4
    whole = CodecStage.build(dataclasses.replace(config, cached_windows=4), modules)
    assert len(list(whole._examples(source, 100))) == 100


def test_latents_have_unit_variance_at_the_measured_scale(stage_and_batches):
    stage, cached, _ = stage_and_batches
    scaled = cached.extra["latent"].float() * stage.decoder.latent_scale
    assert scaled.std().item() == pytest.approx(1.0, abs=0.15)


def test_the_code_space_is_filled_from_the_start(stage_and_batches):
    stage, cached, _ = stage_and_batches
    [rate] = stage.rates
    features = cached.extra["features"].float()
    vocab_size = rate.vocab_sizes[-1]
    centroids = rate.encoder.semantic.decode(
        rate.encoder.semantic.encode(features, vocab_size), vocab_size
    )
    vectors = rate.encoder.quantizer.project_in(rate.encoder.acoustic(features, centroids))
    is_whole = cached.extra["num_valid"] >= 511  # nothing is marked as padding
    rows = vectors[is_whole].flatten(0, 1).detach()
    assert len(rows)
    directions = torch.nn.functional.normalize(rows, dim=-1)
    assert directions.mean(dim=0).norm() < 0.3
    assert rows.std(dim=0).tolist() == pytest.approx([1.0] * rows.shape[1], abs=0.4)


def test_training_sees_the_condition_that_decoding_builds(stage_and_batches):
    stage, cached, _ = stage_and_batches
    # Ends inside a column, at its edge, and in the first column.
    frozen = {
        **cached.extra,
        "num_positions": torch.tensor([512, 504, 104, 8]),
        "num_valid": torch.tensor([511, 504, 99, 3]),
    }
    [rate] = stage.rates
    encoded = rate.encode(frozen, fresh(cached))
    context = rate.context(encoded, frozen["num_positions"], cached)
    vocab_size = rate.vocab_size(cached.step)
    for item, kept in enumerate(frozen["num_positions"].tolist()):
        decoded = rate.encoder.quantized(
            encoded.semantic_codes[item : item + 1, :kept],
            encoded.acoustic_codes[item : item + 1, :kept],
            vocab_size,
        )
        expected = rate.condition(*decoded, 512)
        torch.testing.assert_close(context[item : item + 1], expected)


def test_all_vocabularies_take_turns(stage_and_batches):
    stage, _, _ = stage_and_batches
    drawn = [stage.rates[0].vocab_size(step) for step in range(200)]
    assert drawn == [stage.rates[0].vocab_size(step) for step in range(200)]
    assert 60 < drawn.count(8) < 140 and 60 < drawn.count(16) < 140


def test_only_the_three_trained_modules_move(stage_and_batches):
    stage, cached, _ = stage_and_batches
    groups = stage.optimizer_groups()
    trained = {id(parameter) for parameter in groups["codec"]}
    for name, parameter in stage.named_parameters():
        own_name = name.removeprefix("rates.0.")
        is_trained = own_name.startswith(
            ("encoder.acoustic.", "encoder.quantizer.", "decoder.unet.")
        )
        assert (id(parameter) in trained) == is_trained, name
    stage.training_step(fresh(cached), "codec").loss.backward()
    assert all(p.grad is None for p in stage.parameters() if id(p) not in trained)
    assert all(p.grad is not None for p in groups["codec"])
    stage.zero_grad(set_to_none=True)


def test_the_published_sizes_follow_from_the_recipes():
    by_factor = {1: recipes.paper_100, 2: recipes.paper_50, 4: recipes.paper_25}
    for stack_factor, recipe in by_factor.items():
        config = recipe().stage_config
        assert config.stack_factors == (stack_factor,)
        assert recipe().train.batch_size == 48
        assert config.schedule.kind == "cosine"

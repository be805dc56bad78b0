"""A semantic codebook learned with the codec: it moves, resumes exactly, exports as usual."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from experiments.ablations import recipes as ablations
from experiments.ablations.learned_semantic import LearnedSemanticStage
from semanticodec import SemantiCodec
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import ConfigError
from semanticodec.training.data import Batch
from semanticodec.training.train import RunOptions
from tiny_modules import export_audiomae, export_codebook, export_vae, export_vocoder, write_audio

VOCABULARY = 16  # the larger of the tiny codebooks


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    makers = (export_audiomae, export_codebook, export_vae, export_vocoder)
    return {make.__name__.removeprefix("export_"): make(folder / make.__name__) for make in makers}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_audio(tmp_path_factory.mktemp("data"), seconds=(3.0,))


def recipe():
    return ablations.learnable_semantic(ablations.base("tiny", 100))["learned codebook"]


def run(data, modules, out, **options):
    options = {"steps": 2, **options}
    recipe().run(RunOptions(data=(data,), out=out, modules=modules, show_progress=False, **options))
    return out


@pytest.fixture(scope="module")
def whole_run(data, modules, tmp_path_factory):
    return run(data, modules, tmp_path_factory.mktemp("run"))


def records(out):
    return [json.loads(line) for line in (out / "scalars.jsonl").read_text().splitlines()]


def weights(out):
    return load_file(out / "export" / "model.safetensors")


def test_the_loss_has_the_commitment_of_both_quantizers(whole_run):
    for record in records(whole_run):
        parts = record["reconstruction"] + record["commitment"] + record["entropy"]
        assert record["semantic_commitment"] > 0
        assert record["loss"] == pytest.approx(parts + record["semantic_commitment"], rel=1e-5)
        assert 1 <= record["semantic_perplexity"] <= record["num_used_semantic_codes"] <= VOCABULARY


def test_the_export_is_a_codec_whose_only_vocabulary_was_learned(whole_run, modules):
    codec = SemantiCodec.from_pretrained(whole_run / "export")
    assert codec.semantic_vocab_size == VOCABULARY
    codes = codec.encode(np.random.default_rng(0).normal(0, 0.1, 5000).astype(np.float32))
    assert codec.decode(codes).shape == (1, 1, 5000)
    checkpoint = whole_run / "checkpoints" / "step_00000002" / "weights.safetensors"
    learned = load_file(checkpoint)["learner.embed"]
    name = f"encoder.semantic.codebook_{VOCABULARY}"
    assert torch.equal(weights(whole_run)[name], learned)
    centroids = load_file(modules["codebook"] / "model.safetensors")[f"codebook_{VOCABULARY}"]
    assert not torch.allclose(learned, centroids, atol=0.1)
    assert "encoder.semantic.codebook_8" not in weights(whole_run)


def test_a_run_stopped_after_every_step_is_the_same_run(whole_run, data, modules, tmp_path):
    for _ in range(2):
        run(data, modules, tmp_path, minutes=0.0)
    losses = [[record["loss"] for record in records(out)] for out in (tmp_path, whole_run)]
    assert len(losses[1]) == 2 and losses[0] == losses[1]
    stopped, whole = weights(tmp_path), weights(whole_run)
    assert all(torch.equal(stopped[name], whole[name]) for name in whole)


def test_the_codes_approach_the_features_and_only_in_training(modules):
    # The release's settings: codes start anywhere and follow.
    config = dataclasses.replace(recipe().stage_config, semantic=VectorQuantizer.Config())
    torch.manual_seed(0)
    stage = LearnedSemanticStage.build(config, modules)
    features = torch.randn(2, 64, stage.rates[0].config.encoder.width) + 3.0
    frozen = {"features": features, "num_valid": torch.tensor([64, 40])}
    generators = [torch.Generator() for _ in range(2)]
    batch = Batch(wav=torch.zeros(2, 0), generators=generators, step=0)
    codebook = stage.rates[0].encoder.semantic.codebook(VOCABULARY)
    start = codebook.clone()
    stage.eval()._learn(frozen, batch)
    assert torch.equal(codebook, start)
    stage.train()
    errors = [stage._learn(frozen, batch)[0].losses["commitment"].item() for _ in range(30)]
    assert errors[-1] < 0.2 * errors[0]
    assert torch.equal(codebook, stage.learner.embed)


@pytest.mark.parametrize(
    "change", [{"is_vocabulary_fixed": False}, {"semantic": recipe().stage_config.quantizer}]
)
def test_settings_that_leave_no_single_table_are_refused(modules, change):
    config = dataclasses.replace(recipe().stage_config, **change)
    with pytest.raises(ConfigError, match=r"one table of whole features: set is_vocabulary_fixed"):
        LearnedSemanticStage.build(config, modules)


def test_it_cannot_start_from_an_export(data, modules, whole_run, tmp_path):
    with pytest.raises(ConfigError, match="leave out --init"):
        run(data, modules, tmp_path, init=whole_run / "export")

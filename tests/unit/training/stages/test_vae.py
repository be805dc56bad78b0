"""Laws of the autoencoder's training stage."""

import dataclasses
import json

import pytest
import torch

from semanticodec.checkpoints.trained_module import load_vae
from semanticodec.decoder.vae import VAEConfig
from semanticodec.errors import CheckpointError
from semanticodec.recipes.vae import RECIPES, tiny
from semanticodec.training.data import Batch
from semanticodec.training.stages.vae import VAEStage


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def stage_of(**changes):
    torch.manual_seed(0)
    changes = {"discriminator_start": 0, **changes}
    return VAEStage(dataclasses.replace(tiny().stage_config, **changes))


def batch_of(*seeds, step=0):
    wav = torch.stack([torch.randn(5120, generator=g) for g in generators(*seeds)]) * 0.1
    return Batch(wav=wav, generators=generators(*seeds), step=step)


def test_losses_of_a_batch_are_means_over_its_items():
    stage = stage_of(is_adaptive=False)
    whole, parts = batch_of(1, 2, 3), [batch_of(seed) for seed in (1, 2, 3)]
    for group in ("generator", "discriminator"):
        together = stage.training_step(whole, group).loss
        alone = [stage.training_step(part, group).loss for part in parts]
        assert together.item() == pytest.approx(sum(alone).item() / 3, rel=1e-5)


def test_the_discriminator_rests_before_its_first_step():
    stage = stage_of(discriminator_start=3)
    assert stage.active_groups(2) == ["generator"]
    assert stage.active_groups(3) == ["generator", "discriminator"]
    output = stage.training_step(batch_of(1, step=2), "generator")
    assert "adversarial" not in output.scalars
    output.loss.backward()
    assert all(parameter.grad is None for parameter in stage.discriminator.parameters())
    assert "adversarial" in stage.training_step(batch_of(1, step=3), "generator").scalars
    assert stage_of(adversarial_weight=0.0).active_groups(10**6) == ["generator"]


def test_each_group_trains_all_of_its_weights():
    stage, batch = stage_of(), batch_of(1, 2)
    for group, parameters in stage.optimizer_groups().items():
        stage.zero_grad()
        stage.training_step(batch, group).loss.backward()
        assert all(parameter.grad is not None for parameter in parameters), group
    assert all(parameter.grad is None for parameter in stage.vae.parameters())


@pytest.mark.parametrize("kl_weight", [0.0, 0.5])
def test_the_generator_loss_is_the_weighted_sum_of_its_terms(kl_weight):
    stage = stage_of(kl_weight=kl_weight, adversarial_weight=2.0)
    output = stage.training_step(batch_of(1, 2), "generator")
    terms = output.scalars
    expected = terms["reconstruction"] + kl_weight * terms["kl"]
    expected = expected + 2.0 * terms["adversarial_factor"] * terms["adversarial"]
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_recorded_deviation_is_that_of_drawn_latents():
    stage, batch = stage_of(), batch_of(1, 2)
    with torch.no_grad():
        # The spread counts, not the mean; and the drawn noise is part of the spread.
        stage.vae.encoder.moments.bias[:8] = 20.0
        stage.vae.encoder.moments.bias[8:] = 2.0
    mel = stage.mel(batch.wav)
    latent = stage._reconstruct(mel, generators(1, 2)).latent
    recorded = stage.training_step(batch, "generator").scalars["latent_std"]
    assert recorded.item() == pytest.approx(latent.std().item(), rel=1e-3)


def test_an_untrained_stage_already_answers_at_the_usual_level():
    samples = stage_of().samples(batch_of(1))
    target, reconstruction = samples["target"], samples["reconstruction"]
    assert target.spectrogram.shape == reconstruction.spectrogram.shape == (32, 64)
    assert reconstruction.spectrogram.mean().item() == pytest.approx(-5.5, abs=1.5)


def test_export_and_load_are_inverses(tmp_path):
    stage = stage_of()
    stage.training_step(batch_of(1), "generator")
    stage.export(tmp_path)
    vae = load_vae(tmp_path)
    assert vae.config == stage.config.vae
    assert not vae.training
    for name, tensor in vae.state_dict(keep_vars=True).items():
        assert torch.equal(tensor, stage.vae.state_dict()[name])
        assert not tensor.requires_grad
    other = stage_of()
    torch.nn.init.zeros_(other.vae.decoder.conv_out.weight)
    other.initialize(tmp_path)
    assert torch.equal(other.vae.decoder.conv_out.weight, stage.vae.decoder.conv_out.weight)


def test_exports_that_do_not_fit_are_refused(tmp_path):
    stage_of().export(tmp_path)
    wider = stage_of(vae=VAEConfig(base_channels=16, num_res_blocks=1, num_groups=4))
    with pytest.raises(CheckpointError, match="other sizes"):
        wider.initialize(tmp_path)
    description = json.loads((tmp_path / "config.json").read_text())
    wrong_size = {**description["config"], "base_channels": 16}
    unknown = {**description["config"], "lungs": 2}
    for damaged in ({**description, "config": config} for config in (wrong_size, unknown)):
        (tmp_path / "config.json").write_text(json.dumps(damaged))
        with pytest.raises(CheckpointError, match="do not fit together"):
            load_vae(tmp_path)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_crops_make_whole_latent_frames(name):
    recipe = RECIPES[name]()
    stride = 2 ** (len(recipe.stage_config.vae.channel_multipliers) - 1)
    assert recipe.crops.crop_samples % (160 * stride) == 0


def test_paper_recipe_has_the_official_size():
    assert RECIPES["paper"]().stage_config.vae == VAEConfig()

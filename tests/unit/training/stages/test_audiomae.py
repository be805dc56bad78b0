"""Laws of masked pre-training."""

import dataclasses

import pytest
import torch

from semanticodec.checkpoints.trained_module import read_module
from semanticodec.encoder.audiomae import AudioMAE, patchify
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.recipes.audiomae import RECIPES, tiny
from semanticodec.training.data import Batch
from semanticodec.training.detail_loss import DetailLoss
from semanticodec.training.stages.audiomae import (
    AudioMAEStage,
    masked_loss,
    normalize_patches,
    random_keep,
)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def stage_of(**changes):
    torch.manual_seed(0)
    return AudioMAEStage(dataclasses.replace(tiny().stage_config, **changes))


def batch_of(*seeds):
    wav = torch.stack([torch.randn(15 * 2560, generator=g) for g in generators(*seeds)]) * 0.1
    return Batch(wav=wav, generators=generators(*seeds), step=0)


def test_each_item_keeps_its_own_patches():
    keep = random_keep(generators(1, 2, 1), 40, 8)
    assert keep.shape == (3, 8)
    assert torch.equal(keep[0], keep[2])
    assert not torch.equal(keep[0], keep[1])
    assert (keep.diff(dim=1) > 0).all()


def test_loss_sees_hidden_patches_only():
    targets = torch.zeros(2, 5, 4)
    predictions = torch.zeros(2, 5, 4)
    keep = torch.tensor([[0, 3], [1, 2]])
    predictions[0, 0] = predictions[1, 2] = 100.0
    assert masked_loss(predictions, targets, keep) == 0.0
    predictions[0, 1] = 3.0
    assert masked_loss(predictions, targets, keep).item() == pytest.approx(9.0 / 6)


def test_normalized_patches_have_mean_0_and_variance_1_and_silence_stays_finite():
    patches = torch.rand(1, 3, 256) * torch.tensor([1.0, 10.0, 0.0]).view(1, 3, 1)
    normalized = normalize_patches(patches)
    assert torch.allclose(normalized.mean(dim=-1), torch.zeros(1, 3), atol=1e-5)
    assert torch.allclose(normalized.var(dim=-1), torch.tensor([[1.0, 1.0, 0.0]]), atol=1e-3)


def test_loss_of_a_batch_is_the_mean_over_its_items():
    stage = stage_of()
    together = stage.training_step(batch_of(1, 2), "audiomae").loss
    alone = [stage.training_step(batch_of(seed), "audiomae").loss for seed in (1, 2)]
    assert together.item() == pytest.approx(sum(alone).item() / 2, rel=1e-5)


def test_every_trained_weight_gets_a_gradient():
    stage = stage_of()
    stage.training_step(batch_of(1, 2), "audiomae").loss.backward()
    for name, parameter in stage.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
        else:
            assert name.endswith("positions"), name


def test_samples_show_the_target():
    stage = stage_of(is_target_normalized=False)
    samples = stage.samples(batch_of(1))
    target, visible = samples["target"].spectrogram, samples["visible"].spectrogram
    assert target.shape == samples["prediction"].spectrogram.shape == (240, 128)
    _, targets, _ = stage._predict(batch_of(1), is_encoder_trained=False)
    assert torch.equal(patchify(target.unsqueeze(0)), targets)
    assert (visible == 0).float().mean() == pytest.approx(0.8, abs=0.01)


def test_export_is_the_encoder_alone(tmp_path):
    stage = stage_of()
    stage.export(tmp_path)
    other = stage_of()
    torch.nn.init.normal_(other.audiomae.class_token)
    other.initialize(tmp_path)
    assert torch.equal(other.audiomae.class_token, stage.audiomae.class_token)
    wider = AudioMAEStage(
        dataclasses.replace(
            stage.config,
            audiomae=dataclasses.replace(stage.config.audiomae, width=32),
            decoder=dataclasses.replace(stage.config.decoder, encoder_width=32),
        )
    )
    with pytest.raises(CheckpointError, match="other sizes"):
        wider.initialize(tmp_path)


def test_no_other_module_is_needed(tmp_path):
    with pytest.raises(ConfigError, match="vae"):
        AudioMAEStage.build(tiny().stage_config, {"vae": tmp_path})


@pytest.mark.parametrize("name", sorted(name for name in RECIPES if "centered" not in name))
def test_recipes_fit_together(name):
    config = RECIPES[name]().stage_config
    assert config.decoder.encoder_width == config.audiomae.width
    assert config.decoder.num_patches == config.audiomae.num_patches
    assert config.decoder.num_bands == config.audiomae.num_bands


def test_paper_recipe_is_vit_b():
    assert RECIPES["paper"]().stage_config.audiomae == AudioMAE.Config()


def test_the_second_loss_reaches_the_encoder_and_leaves_the_first_as_it_was():
    plain, both = stage_of(), stage_of(visible=DetailLoss.Config(), visible_share=0.5)
    both.load_state_dict(plain.state_dict(), strict=False)
    alone = plain.training_step(batch_of(1, 2), "audiomae")
    output = both.training_step(batch_of(1, 2), "audiomae")
    assert torch.equal(output.scalars["masked"], alone.loss)
    expected = alone.loss + output.scalars["level"] + output.scalars["detail"]
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    gradients = torch.autograd.grad(
        output.scalars["detail"], both.audiomae.patch_embedding.weight, retain_graph=True
    )
    assert gradients[0].abs().sum() > 0


def test_the_second_loss_is_exported_with_the_run_but_not_the_module(tmp_path):
    stage = stage_of(visible=DetailLoss.Config())
    stage.export(tmp_path)
    _, weights = read_module(tmp_path, "audiomae")
    assert set(weights) == set(stage.audiomae.state_dict())


def test_the_encoder_may_start_later_than_decoder_and_head():
    stage = stage_of(visible=DetailLoss.Config(), visible_share=1.0, encoder_start=1)
    stage.training_step(batch_of(1, 2), "audiomae").loss.backward()
    assert all(parameter.grad is None for parameter in stage.audiomae.parameters())
    assert stage.visible.head.weight.grad.abs().sum() > 0
    assert stage.decoder.prediction.weight.grad.abs().sum() > 0
    later = dataclasses.replace(batch_of(1, 2), step=1)
    stage.training_step(later, "audiomae").loss.backward()
    assert stage.audiomae.patch_embedding.weight.grad.abs().sum() > 0

"""Laws of the vocoders' training stage."""

import dataclasses

import pytest
import torch

from conftest import random_codec
from semanticodec.checkpoints.pretrained import write_models
from semanticodec.checkpoints.trained_module import load_vae, read_module
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.vae import sample_latent
from semanticodec.decoder.vocos import Vocos
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.recipes import vae as vae_recipes
from semanticodec.recipes.vocoder import RECIPES, tiny, tiny_hifigan
from semanticodec.training.data import Batch, rand_per_item, randn_per_item
from semanticodec.training.stages.vae import VAEStage
from semanticodec.training.stages.vocoder import VocoderStage


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def stage_of(recipe=tiny, modules=None, **changes):
    torch.manual_seed(0)
    changes = {"discriminator_start": 0, **changes}
    config = dataclasses.replace(recipe().stage_config, **changes)
    return VocoderStage.build(config, modules or {})


def batch_of(*seeds, step=0, num_samples=5120):
    wav = torch.stack([torch.randn(num_samples, generator=g) for g in generators(*seeds)]) * 0.1
    return Batch(wav=wav, generators=generators(*seeds), step=step)


@pytest.fixture(scope="module")
def vae_export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae")
    torch.manual_seed(1)
    VAEStage(vae_recipes.tiny().stage_config).export(folder)
    return folder


@pytest.mark.parametrize("recipe", [tiny, tiny_hifigan])
def test_losses_of_a_batch_are_means_over_its_items(recipe, vae_export):
    stage = stage_of(recipe, {"vae": vae_export}, excerpt_samples=2000)
    whole, parts = batch_of(1, 2, 3), [batch_of(seed) for seed in (1, 2, 3)]
    for group in ("generator", "discriminator"):
        together = stage.training_step(whole, group).loss
        alone = [stage.training_step(part, group).loss for part in parts]
        assert together.item() == pytest.approx(sum(alone).item() / 3, rel=1e-4)


@pytest.fixture(scope="module")
def codec_export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codec")
    codecs = [random_codec(rate) for rate in (100, 50)]
    settings = []
    for codec in codecs:
        config = dataclasses.replace(codec.config, pads_windows=False)
        settings.append((config, {f"rate_{codec.token_rate}": codec.state_dict()}))
    return write_models(folder, settings)


def test_a_share_of_the_items_goes_through_the_codec(codec_export):
    for share, is_changed in ((0.0, False), (1.0, True)):
        stage = stage_of(tiny, {"codec": codec_export}, codec_probability=share)
        batch = batch_of(1, 2, 3)
        mel = stage._input(batch)
        assert mel.shape == (3, 32, 64) and mel.isfinite().all()
        is_other = (mel != stage.mel(batch.wav)).flatten(1).any(dim=1)
        assert is_other.tolist() == [is_changed] * 3


def test_what_the_codec_makes_of_an_item_is_its_own_affair(codec_export):
    stage = stage_of(tiny, {"codec": codec_export}, codec_probability=0.5)
    together = stage._input(batch_of(1, 2, 3, 4))
    alone = [stage._input(batch_of(seed)) for seed in (1, 2, 3, 4)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)


def test_crops_that_are_no_window_of_the_codec_are_refused(codec_export):
    stage = stage_of(tiny, {"codec": codec_export}, codec_probability=1.0)
    with pytest.raises(ConfigError, match="6400 samples do not make a window"):
        stage._input(batch_of(1, num_samples=6400))


def test_a_codec_that_pads_its_windows_is_refused(tiny_folder):
    with pytest.raises(ConfigError, match="pads_windows=False"):
        stage_of(tiny, {"codec": tiny_folder})


def test_the_discriminators_rest_before_their_first_step():
    stage = stage_of(discriminator_start=3)
    assert stage.active_groups(2) == ["generator"]
    assert stage.active_groups(3) == ["generator", "discriminator"]
    assert set(stage.training_step(batch_of(1, step=2), "generator").scalars) == {"mel", "stft"}
    late = stage.training_step(batch_of(1, step=3), "generator").scalars
    assert {"adversarial", "feature_matching"} < set(late)


def test_each_group_trains_all_of_its_weights():
    stage, batch = stage_of(), batch_of(1, 2)
    for group, parameters in stage.optimizer_groups().items():
        stage.zero_grad()
        stage.training_step(batch, group).loss.backward()
        assert all(parameter.grad is not None for parameter in parameters), group
    assert all(parameter.grad is None for parameter in stage.vocoder.parameters())


def test_the_generator_loss_is_the_weighted_sum_of_its_terms():
    weights = {"mel": 5.0, "stft": 0.5, "adversarial": 3.0, "feature_matching": 7.0}
    stage = stage_of(**{f"{name}_weight": weight for name, weight in weights.items()})
    output = stage.training_step(batch_of(1, 2), "generator")
    expected = sum(weight * output.scalars[name].item() for name, weight in weights.items())
    assert output.loss.item() == pytest.approx(expected, rel=1e-5)


def test_excerpts_are_cut_at_the_same_random_place():
    stage, batch = stage_of(excerpt_samples=1000), batch_of(1, 2, 3)
    real, generated = stage._excerpts(batch, batch.wav, -batch.wav)
    assert real.shape == (3, 1000)
    assert torch.equal(real, -generated)
    starts = [
        int((row.unfold(0, 1000, 1) == part).all(1).nonzero()[0])
        for row, part in zip(batch.wav, real, strict=True)
    ]
    assert len(set(starts)) == 3
    whole, _ = stage_of()._excerpts(batch, batch.wav, batch.wav)
    assert torch.equal(whole, batch.wav)


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_a_share_of_the_items_passes_the_vae(vae_export, probability):
    stage = stage_of(modules={"vae": vae_export}, vae_probability=probability)
    seeds = range(16)
    inputs, plain = stage._input(batch_of(*seeds)), stage.mel(batch_of(*seeds).wav)
    passed = (inputs != plain).flatten(1).any(dim=1)
    assert {0.0: 0, 0.5: 7, 1.0: 16}[probability] == int(passed.sum())
    # Which ones, and what comes out, is each item's own affair.
    alone = torch.cat([stage._input(batch_of(seed)) for seed in seeds])
    torch.testing.assert_close(inputs, alone, rtol=1e-4, atol=1e-4)


def test_the_vocoder_hears_what_the_vae_decodes(vae_export):
    stage = stage_of(modules={"vae": vae_export}, vae_probability=1.0)
    draws = generators(5)
    rand_per_item(draws, ())  # the choice
    vae = load_vae(vae_export)
    mean, logvar = vae.encode(stage.mel(batch_of(5).wav))
    latent = sample_latent(mean, logvar, randn_per_item(draws, tuple(mean.shape[1:])))
    torch.testing.assert_close(stage._input(batch_of(5)), vae.decode(latent))


def test_the_frozen_vae_is_neither_trained_nor_saved(vae_export):
    stage = stage_of(modules={"vae": vae_export})
    assert set(stage.state_dict()) == set(stage_of().state_dict())
    stage.training_step(batch_of(1, 2), "generator").loss.backward()
    (vae,) = stage._vae
    assert all(parameter.grad is None for parameter in vae.parameters())


@pytest.mark.parametrize(
    ("recipe", "name", "vocoder"), [(tiny, "vocos", Vocos), (tiny_hifigan, "hifigan", HiFiGAN)]
)
def test_export_is_the_vocoder_under_its_own_name(tmp_path, recipe, name, vocoder):
    stage = stage_of(recipe)
    stage.export(tmp_path)
    config, weights = read_module(tmp_path, "vocoder")
    assert config.pop("class") == name
    sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    vocoder(vocoder.Config(**sizes)).load_state_dict(weights)
    other = stage_of(recipe)
    torch.nn.init.zeros_(other.vocoder.conv_in.weight)
    other.initialize(tmp_path)
    assert torch.equal(other.vocoder.conv_in.weight, stage.vocoder.conv_in.weight)


def test_exports_that_do_not_fit_are_refused(tmp_path):
    stage_of().export(tmp_path)
    with pytest.raises(CheckpointError, match="'vocos', not 'hifigan'"):
        stage_of(tiny_hifigan).initialize(tmp_path)
    with pytest.raises(CheckpointError, match="other sizes"):
        stage_of(vocoder=Vocos.Config(width=8, hidden=8, num_layers=1)).initialize(tmp_path)


def test_no_module_but_vae_and_codec_is_of_use(tmp_path):
    with pytest.raises(
        ConfigError, match="modules vae, codec and discriminators at most, but got audiomae"
    ):
        stage_of(modules={"audiomae": tmp_path})


@pytest.mark.parametrize("use_vae", [False, True])
def test_crops_must_make_whole_frames(vae_export, use_vae):
    stage = stage_of(modules={"vae": vae_export} if use_vae else {})
    with pytest.raises(ConfigError, match=f"choose a multiple of {640 if use_vae else 160}"):
        stage.training_step(batch_of(1, num_samples=5120 + (320 if use_vae else 80)), "generator")


@pytest.mark.parametrize("recipe", [tiny, tiny_hifigan])
def test_samples_let_a_person_compare(recipe):
    samples = stage_of(recipe).samples(batch_of(1, 2))
    target, generated = samples["target"], samples["generated"]
    assert torch.equal(target.wav, batch_of(1).wav[0])
    assert generated.wav.shape == target.wav.shape
    assert generated.spectrogram.shape == target.spectrogram.shape == (32, 64)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_fit_together(name):
    recipe = RECIPES[name]()
    assert recipe.crops.crop_samples % 640 == 0
    assert recipe.stage_config.excerpt_samples <= recipe.crops.crop_samples


def test_paper_recipe_is_the_official_hifigan():
    assert RECIPES["paper"]().stage_config.vocoder == HiFiGAN.Config()


def test_discriminators_go_on_from_another_run_or_stay_as_it_left_them(tmp_path):
    first = stage_of(discriminator_start=2)
    first.export_aids(tmp_path, 2)
    assert not (tmp_path / "discriminators").exists()  # they have seen nothing yet
    first.export_aids(tmp_path, 3)
    given = {"discriminators": tmp_path / "discriminators"}
    torch.manual_seed(1)
    for learns, groups in ((True, ["generator", "discriminator"]), (False, ["generator"])):
        config = dataclasses.replace(
            tiny().stage_config, discriminator_start=0, trains_discriminators=learns
        )
        second = VocoderStage.build(config, given)
        assert second.active_groups(0) == groups
        for ours, theirs in zip(second.discriminators(), first.discriminators(), strict=True):
            pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
            assert all(torch.equal(mine, given) for mine, given in pairs)


def test_discriminators_that_do_not_learn_have_to_be_given_in_the_recipes_sizes(tmp_path):
    with pytest.raises(ConfigError, match="add --module discriminators="):
        stage_of(trains_discriminators=False)
    periods = dataclasses.replace(tiny().stage_config.periods, channels=(8, 4))
    stage_of(periods=periods).export_aids(tmp_path, 1)
    with pytest.raises(CheckpointError, match="in other sizes than the recipe's"):
        stage_of(modules={"discriminators": tmp_path / "discriminators"})

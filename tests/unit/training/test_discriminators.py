"""Laws of the discriminators: locality, independence of the batch, and that they can learn."""

import pytest
import torch

from semanticodec.decoder.harmonic_vocos import HarmonicVocos
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.pitch import PitchEstimator
from semanticodec.decoder.vocos import Vocos
from semanticodec.errors import ConfigError
from semanticodec.training.discriminators import (
    FrameDiscriminator,
    MultiPeriodDiscriminator,
    MultiResolutionDiscriminator,
    PatchDiscriminator,
)


def periods(values=(2, 3), channels=(4, 8)):
    return MultiPeriodDiscriminator(
        MultiPeriodDiscriminator.Config(periods=values, channels=channels)
    )


def resolutions(sizes=(256, 128)):
    return MultiResolutionDiscriminator(
        MultiResolutionDiscriminator.Config(window_lengths=sizes, channels=(4, 8, 8))
    )


def patches(num_layers=3):
    return PatchDiscriminator(PatchDiscriminator.Config(channels=4, num_layers=num_layers))


def frames(kind=Vocos):
    sizes = {"width": 16, "hidden": 16, "num_layers": 1}
    if kind is HarmonicVocos:
        sizes |= {"pitch": PitchEstimator.Config(width=8)}
    vocoder = kind(kind.Config(**sizes))
    return FrameDiscriminator(FrameDiscriminator.Config(channels=(8, 8, 8)), vocoder)


def noise(*shape, seed=0):
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


CASES = [
    pytest.param(periods, lambda seed: 10 * noise(3, 1000, seed=seed), id="periods"),
    pytest.param(resolutions, lambda seed: noise(3, 1000, seed=seed), id="resolutions"),
    pytest.param(patches, lambda seed: 25 * noise(3, 64, 64, seed=seed) - 5.5, id="patches"),
    pytest.param(frames, lambda seed: 25 * noise(3, 64, 64, seed=seed) - 5.5, id="frames"),
]


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


@pytest.mark.parametrize(("make", "draw"), CASES)
def test_an_item_is_judged_alone(make, draw):
    discriminator, items = make(), draw(0)
    together, alone = discriminator(items), discriminator(items[1:2])
    for whole, part in zip(together.logits, alone.logits, strict=True):
        torch.testing.assert_close(whole[1:2], part, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("make", "draw"), CASES)
def test_one_entry_per_discriminator_and_layer(make, draw):
    output = make()(draw(0))
    assert all(logits.ndim == 2 and len(logits) == 3 for logits in output.logits)
    layers = {periods: [2, 2], resolutions: [3, 3], patches: [4], frames: [3]}[make]
    assert [len(features) for features in output.features] == layers


@pytest.mark.parametrize(("make", "draw"), CASES)
def test_it_learns_to_tell_two_kinds_apart(make, draw):
    discriminator = make()
    optimizer = torch.optim.AdamW(
        [p for p in discriminator.parameters() if p.requires_grad], lr=1e-2
    )

    def margin(seed):
        ones, others = draw(seed), 0.3 * draw(seed + 1)
        logits = discriminator(torch.cat([ones, others])).logits
        halves = [each.chunk(2) for each in logits]
        return torch.stack([first.mean() - second.mean() for first, second in halves])

    for step in range(40):
        optimizer.zero_grad()
        (-margin(2 * step).clamp(max=1.0).sum()).backward()
        optimizer.step()
    assert (margin(1000) > 0.5).all()


@pytest.mark.parametrize("make", [periods, resolutions])
@pytest.mark.parametrize("num_samples", [131, 500, 1001])
def test_any_length_is_judged_and_silence_has_finite_gradients(make, num_samples):
    wav = torch.zeros(1, num_samples, requires_grad=True)
    sum(logits.sum() for logits in make()(wav).logits).backward()
    assert wav.grad is not None
    assert wav.grad.isfinite().all()


@pytest.mark.parametrize("period", [2, 3, 7])
def test_a_period_discriminator_never_mixes_phases_of_its_period(period):
    discriminator = periods((period,))
    wav = noise(1, 60 * period)
    changed = wav.clone()
    changed[0, 5 * period + 1] += 1.0
    (before,), (after,) = discriminator(wav).logits, discriminator(changed).logits
    moved = (before != after).reshape(-1, period).any(dim=0)  # rows x phases
    assert moved.tolist() == [phase == 1 for phase in range(period)]


def test_the_compressed_spectrum_grows_like_the_root_of_the_loudness():
    discriminator = resolutions((256,))
    first = discriminator.discriminators[0].layers[0]
    torch.nn.init.zeros_(first.bias)
    # Leaky ReLU and a convolution without bias are homogeneous, so the layer tells its input.
    loud, quiet = (discriminator(level * noise(1, 1000)).features[0][0] for level in (4.0, 1.0))
    scale = loud.abs().max().item()
    torch.testing.assert_close(loud, 2 * quiet, rtol=0.02, atol=0.01 * scale)


def test_patches_see_70_frames_and_no_more():
    discriminator = patches()
    mel = 25 * noise(1, 256, 64) - 5.5
    changed = mel.clone()
    changed[:, 0] += 1.0
    (before,), (after,) = discriminator(mel).logits, discriminator(changed).logits
    rows = (before != after).reshape(30, 6).any(dim=1)  # 256/8 - 2 times 64/8 - 2 patches
    # A patch covers 70 frames from 8 i - 23 on (pix2pix' receptive field), less the padding.
    assert rows.tolist() == [8 * row - 23 <= 0 for row in range(30)]


@pytest.mark.parametrize("make", [periods, resolutions, patches, frames])
def test_first_logits_differ_enough_to_learn_from(make):
    """With PyTorch's own start they are thousandths, and the losses stand still for long."""
    items = 25 * noise(3, 64, 64) - 5.5 if make in (patches, frames) else noise(3, 1000)
    for _ in range(3):
        assert all(0.05 < logits.std() < 5 for logits in make()(items).logits)


@pytest.mark.parametrize("kind", [Vocos, HarmonicVocos])
def test_frames_are_those_of_a_vocoder_that_stays_as_it_is(kind):
    discriminator = frames(kind)
    mel = (25 * noise(2, 40, 64) - 5.5).requires_grad_()
    logits = discriminator(mel).logits[0]
    logits.sum().backward()
    assert mel.grad is not None
    assert mel.grad.abs().sum() > 0
    moved = {name for name, p in discriminator.named_parameters() if p.grad is not None}
    assert moved
    assert not any(name.startswith("vocoder.") for name in moved)


def test_a_vocoder_without_frames_is_refused():
    small = HiFiGAN(HiFiGAN.Config(initial_channels=32))
    with pytest.raises(ConfigError, match="HiFiGAN has no frames"):
        FrameDiscriminator(FrameDiscriminator.Config(), small)

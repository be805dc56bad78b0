"""Laws of the adversarial stages' losses."""

import math

import pytest
import torch

from semanticodec.errors import ConfigError
from semanticodec.training.losses import (
    MultiResolutionMelLoss,
    MultiResolutionStftLoss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    kl_divergence,
)

LOSSES = [
    pytest.param(MultiResolutionMelLoss(MultiResolutionMelLoss.Config()), id="mel"),
    pytest.param(MultiResolutionStftLoss(MultiResolutionStftLoss.Config()), id="stft"),
]


def noise(*shape, seed=0):
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_waveforms_are_at_distance_zero_and_others_are_not(loss):
    wav, other = noise(2, 8000), noise(2, 8000, seed=1)
    assert loss(wav, wav) == 0
    assert loss(wav, other) > 0.1
    assert loss(wav, other) == pytest.approx(loss(other, wav).item())


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_is_the_mean_of_its_items(loss):
    wav, other = noise(3, 8000), 2 * noise(3, 8000, seed=1)
    other[2] = 0
    alone = [loss(wav[row : row + 1], other[row : row + 1]) for row in range(3)]
    assert loss(wav, other) == pytest.approx(torch.stack(alone).mean().item(), rel=1e-5)


def test_mel_loss_counts_twice_the_loudness_as_log_two():
    loss = MultiResolutionMelLoss(
        MultiResolutionMelLoss.Config(window_lengths=(512, 1024), num_mel_bins=(20, 40))
    )
    wav = noise(1, 8000)
    assert loss(2 * wav, wav) == pytest.approx(math.log(2), rel=1e-4)


def test_stft_loss_of_a_tone_knows_its_amplitude():
    loss = MultiResolutionStftLoss(
        MultiResolutionStftLoss.Config(window_lengths=(1024,), floor=1e9, magnitude_weight=1.0)
    )
    # The floor hides the logarithmic term. 1 kHz falls on a line; a Hann window spreads a tone
    # of amplitude a as a/4, a/2, a/4 over three of 513 lines.
    tone = torch.cos(2 * math.pi * 1000 / 16000 * torch.arange(32769))[None]
    assert loss(tone, torch.zeros_like(tone)) * 513 == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("target", ["noise", "silence"])
def test_gradients_stay_finite_from_silence(loss, target):
    wav = torch.zeros(1, 8000, requires_grad=True)
    loss(wav, noise(1, 8000) if target == "noise" else torch.zeros(1, 8000)).backward()
    assert wav.grad is not None
    assert wav.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_following_the_gradient_brings_waveforms_nearer(loss):
    target = noise(1, 4096)
    wav = noise(1, 4096, seed=1).requires_grad_()
    before = loss(wav, target)
    (gradient,) = torch.autograd.grad(before, wav)
    assert loss(wav - 1e-3 * gradient.sign(), target) < before


@pytest.mark.parametrize("loss", LOSSES)
def test_autocast_does_not_touch_spectra(loss):
    wav, other = noise(1, 8000), noise(1, 8000, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(wav, other)
    assert inside == loss(wav, other)


def test_scales_and_mel_bins_come_in_pairs():
    with pytest.raises(ConfigError, match="2 window lengths but 1 numbers of mel bins"):
        MultiResolutionMelLoss(
            MultiResolutionMelLoss.Config(window_lengths=(64, 128), num_mel_bins=(10,))
        )


def test_kl_divergence_is_the_closed_form():
    mean, logvar = noise(2, 8, 3, 4) * 10, noise(2, 8, 3, 4, seed=1) * 10
    ours = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(ours, standard).mean()
    assert kl_divergence(mean, logvar) == pytest.approx(expected.item(), rel=1e-5)
    assert kl_divergence(torch.zeros(1, 4), torch.zeros(1, 4)) == 0


# Worked by hand: logits 2 and 0 for recordings, 1 for what was generated.
@pytest.mark.parametrize(
    ("kind", "for_discriminator", "for_generator"),
    [("least_squares", (1 + 1) / 2 + 1, 0.0), ("hinge", (0 + 1) / 2 + 2, -1.0)],
)
def test_gan_losses_by_hand(kind, for_discriminator, for_generator):
    real, generated = torch.tensor([[2.0], [0.0]]), torch.tensor([[1.0], [1.0]])
    assert discriminator_loss([real], [generated], kind) == for_discriminator
    assert generator_loss([generated], kind) == for_generator


@pytest.mark.parametrize("kind", ["least_squares", "hinge"])
def test_a_sure_discriminator_has_nothing_to_learn_and_the_generator_has(kind):
    sure = torch.full((2, 5), 1.0)
    wrong = torch.zeros(2, 5) if kind == "least_squares" else -sure
    assert discriminator_loss([sure, sure], [wrong, wrong], kind) == 0
    logits = wrong.clone().requires_grad_()
    generator_loss([logits], kind).backward()
    assert (logits.grad < 0).all()


def test_discriminators_count_alike_whatever_their_number_of_logits():
    few, many = torch.zeros(2, 3), torch.full((2, 300), 4.0)
    assert generator_loss([few, many], "hinge") == pytest.approx(-2.0)
    assert discriminator_loss([few, few], [few, many], "hinge") == pytest.approx((2 + 6) / 2)


def test_feature_matching_sums_layers_and_averages_discriminators():
    real = [[torch.zeros(2, 3), torch.zeros(2, 5)], [torch.zeros(2, 4), torch.zeros(2, 4)]]
    generated = [[layer + 1.0 for layer in layers] for layers in real]
    generated[1][1] = torch.full((2, 4), -3.0)
    assert feature_matching_loss(real, generated) == pytest.approx(((1 + 1) + (1 + 3)) / 2)


def test_feature_matching_moves_the_generated_side_only():
    real, generated = (torch.ones(2, 3, requires_grad=True) for _ in range(2))
    feature_matching_loss([[real]], [[2 * generated]]).backward()
    assert real.grad is None
    assert (generated.grad > 0).all()

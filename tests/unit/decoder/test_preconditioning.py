"""With no network at all, a Gaussian latent is sampled as it is: only the rest is left to learn."""

import pytest
import torch

from semanticodec.config import tiny
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.preconditioning import SMALLEST_DEVIATION, Preconditioning
from semanticodec.decoder.sampler import ddim, shifted_timesteps
from semanticodec.decoder.schedule import Schedule

CHANNELS, BINS = 3, 4


def gaussian(num_items: int, seed: int = 0) -> torch.Tensor:
    """Return latents whose channels and frequencies differ in mean and deviation."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.linspace(-2, 2, CHANNELS * BINS).view(CHANNELS, 1, BINS)
    deviation = torch.linspace(0.1, 2, CHANNELS * BINS).flip(0).view(CHANNELS, 1, BINS)
    return mean + deviation * torch.randn(num_items, CHANNELS, 64, BINS, generator=generator)


@pytest.fixture
def measured() -> Preconditioning:
    module = Preconditioning(Preconditioning.Config(latent_channels=CHANNELS, latent_bins=BINS))
    module.measure(gaussian(400))
    return module


def no_network(latent: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(latent)


def test_sampling_without_a_network_gives_the_statistics(measured):
    schedule = Schedule(Schedule.Config(kind="cosine"))
    noise = torch.randn(400, CHANNELS, 64, BINS, generator=torch.Generator().manual_seed(1))
    sampled = ddim(
        lambda latent, timestep: measured.velocity(no_network, schedule, latent, timestep),
        schedule,
        shifted_timesteps(200),
        lambda draw: noise,
        end_at_clean=True,
    )
    mean, deviation = sampled.mean(dim=(0, 2)), sampled.std(dim=(0, 2))
    torch.testing.assert_close(mean, measured.mean[:, 0], rtol=0, atol=0.05)
    torch.testing.assert_close(deviation, measured.deviation[:, 0], rtol=0.05, atol=0)


@pytest.mark.parametrize("timestep", [0, 300, 700, 950, 999])
def test_network_sees_and_should_give_unit_variance(measured, timestep):
    schedule = Schedule(Schedule.Config(kind="cosine"))
    latent, steps = gaussian(400, seed=2), torch.full((400,), timestep)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(3))
    noisy = schedule.add_noise(latent, noise, steps)
    seen = []

    def ones(given: torch.Tensor) -> torch.Tensor:
        seen.append(given)
        return torch.ones_like(given)

    linear = measured.velocity(no_network, schedule, noisy, steps)
    gain = measured.velocity(ones, schedule, noisy, steps) - linear
    wanted = (schedule.velocity(latent, noise, steps) - linear) / gain
    for values in (seen[0], wanted):
        moments = torch.stack([values.mean(dim=(0, 2)), values.std(dim=(0, 2))])
        torch.testing.assert_close(moments[0], torch.zeros(CHANNELS, BINS), rtol=0, atol=0.03)
        torch.testing.assert_close(moments[1], torch.ones(CHANNELS, BINS), rtol=0, atol=0.03)


def test_cells_that_never_change_stay_finite():
    module = Preconditioning(Preconditioning.Config(latent_channels=CHANNELS, latent_bins=BINS))
    module.measure(torch.ones(2, CHANNELS, 8, BINS))
    assert (module.deviation == SMALLEST_DEVIATION).all()


def test_half_precision_leaves_the_statistics_alone(measured):
    before = measured.mean.clone()
    assert torch.equal(measured.to(torch.bfloat16).mean, before)


def test_a_decoder_without_it_calls_the_network_alone():
    torch.manual_seed(0)
    decoder = Decoder(tiny().decoder).eval()
    assert not any("preconditioning" in name for name in decoder.state_dict())
    latent, step = torch.randn(1, 8, 16, 16), torch.tensor([500])
    context = torch.randn(1, 32, decoder.config.unet.context_width)
    with torch.no_grad():
        expected = decoder.unet(latent, step, context)
        assert torch.equal(decoder.velocity(latent, step, context), expected)

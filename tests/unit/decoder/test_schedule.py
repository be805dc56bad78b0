from pathlib import Path

import numpy as np
import pytest
import torch

from semanticodec.decoder.schedule import Schedule, shift_time
from semanticodec.errors import ConfigError

GOLDEN = Path(__file__).parents[2] / "assets" / "golden"
LINEAR = Schedule.Config()
COSINE = Schedule.Config(kind="cosine")


def test_linear_schedule_equals_the_release():
    golden = np.load(GOLDEN / "schedule_linear_0.0015_0.0195.npz")
    for name, values in Schedule(LINEAR).state_dict().items():
        assert np.array_equal(values.numpy(), golden[name]), name


def test_cosine_ends_in_pure_noise_and_keeps_its_first_level():
    schedule = Schedule(COSINE)
    alphas = schedule.alphas_cumprod
    assert schedule.alphas_cumprod[-1] == 0
    assert Schedule(LINEAR).alphas_cumprod[-1] > 0
    assert alphas[-1] == 0.0
    assert schedule.sqrt_one_minus_alphas_cumprod[-1] == 1.0
    unscaled_first = np.cos((0.001 + 0.008) / 1.008 * np.pi / 2) ** 2
    unscaled_first /= np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert alphas[0].item() == pytest.approx(unscaled_first, abs=1e-7)
    assert (alphas.diff() < 0).all()


def test_cosine_agrees_with_the_rescaling_of_diffusers():
    ddim = pytest.importorskip("diffusers.schedulers.scheduling_ddim")
    betas = ddim.rescale_zero_terminal_snr(ddim.betas_for_alpha_bar(1000))
    # diffusers clips the last beta before it rescales, which moves levels by 2.4e-5
    reference = torch.cumprod(1 - betas.double(), dim=0).float()
    torch.testing.assert_close(Schedule(COSINE).alphas_cumprod, reference, rtol=0, atol=5e-5)


def test_eq_7_is_eq_6_applied_again_and_again():
    schedule = Schedule(Schedule.Config(num_timesteps=10))
    betas = torch.linspace(0.0015**0.5, 0.0195**0.5, 10, dtype=torch.float64) ** 2
    signal, variance = 1.0, 0.0
    for timestep, beta in enumerate(betas.tolist()):
        signal, variance = signal * (1 - beta) ** 0.5, variance * (1 - beta) + beta
        ones, zeros = torch.ones(1, 1), torch.zeros(1, 1)
        index = torch.tensor([timestep])
        assert schedule.add_noise(ones, zeros, index).item() == pytest.approx(signal, abs=1e-6)
        scale = schedule.add_noise(zeros, ones, index).item()
        assert scale**2 == pytest.approx(variance, abs=1e-6)


@pytest.mark.parametrize("config", [LINEAR, COSINE])
def test_velocity_and_noisy_latent_give_back_latent_and_noise(config):
    schedule = Schedule(config)
    generator = torch.Generator().manual_seed(0)
    latent, noise = torch.randn(2, 5, 8, 4, 2, generator=generator)
    timestep = torch.tensor([0, 1, 500, 998, 999])
    noisy = schedule.add_noise(latent, noise, timestep)
    velocity = schedule.velocity(latent, noise, timestep)
    torch.testing.assert_close(schedule.predict_latent(noisy, velocity, timestep), latent)
    torch.testing.assert_close(schedule.predict_noise(noisy, velocity, timestep), noise)


def test_at_pure_noise_the_velocity_is_minus_the_latent():
    schedule, last = Schedule(COSINE), torch.tensor([999])
    latent, noise = torch.randn(2, 1, 8, 4, 2)
    assert torch.equal(schedule.velocity(latent, noise, last), -latent)
    assert torch.equal(schedule.add_noise(latent, noise, last), noise)


def test_a_checkpoint_overrides_the_schedule():
    schedule = Schedule(LINEAR)
    schedule.load_state_dict(Schedule(COSINE).state_dict())
    assert schedule.alphas_cumprod[-1] == 0


def test_half_precision_leaves_the_schedule_alone():
    schedule = Schedule(LINEAR)
    before = schedule.alphas_cumprod.clone()
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), schedule).to(torch.bfloat16)
    assert model[0].weight.dtype == torch.bfloat16
    assert schedule.alphas_cumprod.dtype == torch.float32
    assert torch.equal(schedule.alphas_cumprod, before)
    assert schedule.to("meta").alphas_cumprod.device.type == "meta"


def test_shift_moves_times_toward_noise():
    time = torch.linspace(0, 1, 11)
    torch.testing.assert_close(shift_time(time, 1.0), time)
    shifted = shift_time(time, 12.0)
    assert shifted[0] == 0.0
    assert shifted[-1] == 1.0
    assert (shifted.diff() > 0).all()
    assert (shifted[1:-1] > time[1:-1]).all()
    assert shift_time(torch.tensor([0.5]), 3.0).item() == pytest.approx(0.75)
    twice = shift_time(shift_time(time, 2.0), 3.0)
    torch.testing.assert_close(twice, shift_time(time, 6.0))


@pytest.mark.parametrize("shift", [0.5, float("nan")])
def test_shifts_away_from_noise_are_refused(shift):
    with pytest.raises(ConfigError, match="choose 1"):
        shift_time(torch.ones(1), shift)


def test_unknown_kinds_are_refused():
    with pytest.raises(ConfigError, match="'sigmoid' is unknown: choose 'linear' or 'cosine'"):
        Schedule(Schedule.Config(kind="sigmoid"))
    with pytest.raises(ConfigError, match="num_timesteps=1 is too few"):
        Schedule(Schedule.Config(num_timesteps=1))

import math

import pytest
import torch

from semanticodec.decoder.multistep import dpm_solver_2m, unipc
from semanticodec.decoder.sampler import ddim, even_timesteps, shifted_timesteps
from semanticodec.decoder.schedule import Schedule
from semanticodec.errors import ConfigError

LINEAR = Schedule(Schedule.Config())
COSINE = Schedule(Schedule.Config(kind="cosine"))
SHAPE = (2, 8, 16, 4)
# Of diffusers' own use of numpy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
BOTH = pytest.mark.parametrize("solver", [dpm_solver_2m, unipc])


def noise(draw):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(draw))


def toy_network(latent, timestep):
    return torch.sin(1.3 * latent) + timestep.view(-1, 1, 1, 1) / 1000


def floored(signal_power):
    """The cosine schedule with some signal left at its end, as diffusers needs it."""
    schedule = Schedule(Schedule.Config(kind="cosine"))
    schedule.alphas_cumprod[-1] = signal_power
    schedule.sqrt_alphas_cumprod[-1] = signal_power**0.5
    schedule.sqrt_one_minus_alphas_cumprod[-1] = (1 - signal_power) ** 0.5
    return schedule


def reference(name, schedule, timesteps, *, end_at_clean, network=toy_network, **options):
    """The latent of a scheduler of diffusers that visits the same noise levels."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = getattr(diffusers, name)(prediction_type="v_prediction", **options)
    scheduler.set_timesteps(len(timesteps))
    scheduler.timesteps = torch.tensor(timesteps)
    signal_power = schedule.alphas_cumprod.double()
    ratios = ((1 - signal_power) / signal_power).sqrt()
    last = torch.zeros(1) if end_at_clean else ratios[:1]
    scheduler.sigmas = torch.cat([ratios[timesteps], last])
    latent = noise(0)
    for step, timestep in enumerate(scheduler.timesteps):
        fresh = {"variance_noise": noise(step + 1)} if name.startswith("DPM") else {}
        velocity = network(latent, timestep.view(1))
        latent = scheduler.step(velocity, timestep, latent, **fresh).prev_sample
    return latent


# Timesteps from pure noise to the clean latent for the one, those of the release for the other.
RUNS = pytest.mark.parametrize(
    ("schedule", "spacing", "end_at_clean"),
    [
        (LINEAR, even_timesteps, False),
        (LINEAR, shifted_timesteps, True),
        (floored(2.0**-24), lambda count: shifted_timesteps(count, 12.0), True),
        (floored(2.0**-24), shifted_timesteps, True),
    ],
    ids=["release", "linear to clean", "cosine shifted", "cosine"],
)


@RUNS
@pytest.mark.parametrize("num_steps", [1, 2, 3, 10, 20])
@pytest.mark.parametrize(("eta", "kind"), [(0.0, "dpmsolver++"), (1.0, "sde-dpmsolver++")])
def test_dpm_solver_equals_diffusers(schedule, spacing, end_at_clean, num_steps, eta, kind):
    timesteps = spacing(num_steps)
    expected = reference(
        "DPMSolverMultistepScheduler",
        schedule,
        timesteps,
        end_at_clean=end_at_clean,
        algorithm_type=kind,
        euler_at_final=True,
    )
    actual = dpm_solver_2m(
        toy_network, schedule, timesteps, noise, eta=eta, end_at_clean=end_at_clean
    )
    torch.testing.assert_close(actual, expected, rtol=0, atol=3e-5)


@RUNS
@pytest.mark.parametrize("num_steps", [1, 2, 3, 10, 20])
def test_unipc_equals_diffusers(schedule, spacing, end_at_clean, num_steps):
    timesteps = spacing(num_steps)
    expected = reference(
        "UniPCMultistepScheduler", schedule, timesteps, end_at_clean=end_at_clean, solver_order=2
    )
    actual = unipc(toy_network, schedule, timesteps, noise, end_at_clean=end_at_clean)
    torch.testing.assert_close(actual, expected, rtol=0, atol=3e-5)


def test_pure_noise_is_the_limit_of_ever_less_signal():
    timesteps = shifted_timesteps(4)
    actual = dpm_solver_2m(toy_network, COSINE, timesteps, noise, end_at_clean=True)
    distances = []
    for half_log_snr in (-10.0, -20.0, -40.0):
        almost = floored(math.exp(2 * half_log_snr))
        sampled = dpm_solver_2m(toy_network, almost, timesteps, noise, end_at_clean=True)
        distances.append((sampled - actual).abs().max().item())
    # What is left falls as 1 / λ: the slope of a prediction that changes over a step of width λ.
    assert distances[0] > 0.01
    assert distances[1] / distances[0] == pytest.approx(0.5, abs=0.1)
    assert distances[2] / distances[1] == pytest.approx(0.5, abs=0.05)


def predicting(schedule, clean_of):
    """The velocity of a network that predicts `clean_of(timestep)` whatever it sees."""

    def denoise(latent, timestep):
        signal = schedule.alphas_cumprod[timestep].double().sqrt().view(-1, 1, 1, 1)
        return (signal * latent - clean_of(int(timestep[0]))) / (1 - signal**2).sqrt()

    return denoise


def test_unipc_repeats_the_step_from_pure_noise_with_what_the_network_says_at_its_end():
    first, second = noise(98), noise(99)
    network = predicting(COSINE, {999: first, 800: second}.get)
    sampled = unipc(network, COSINE, [999, 800], noise)
    at_end = torch.zeros(SHAPE[0], dtype=torch.long)
    torch.testing.assert_close(sampled, COSINE.add_noise(second, noise(0), at_end))


@BOTH
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize("shift", [1.0, 12.0])
def test_any_number_of_steps_is_finite(solver, schedule, shift):
    for num_steps in (*range(1, 8), 50, 333):
        timesteps = shifted_timesteps(num_steps, shift)
        for end_at_clean in (True, False):
            sampled = solver(toy_network, schedule, timesteps, noise, end_at_clean=end_at_clean)
            assert sampled.abs().max() < 100, (num_steps, end_at_clean)


@BOTH
def test_all_timesteps_can_be_visited(solver):
    sampled = solver(toy_network, COSINE, shifted_timesteps(1000), noise, end_at_clean=True)
    assert sampled.abs().max() < 100


@BOTH
@pytest.mark.parametrize("num_steps", [1, 2, 3, 13])
def test_a_perfect_network_gives_the_clean_latent(solver, num_steps):
    clean, timesteps = noise(99), shifted_timesteps(num_steps, 3.0)
    network = predicting(COSINE, lambda timestep: clean)
    sampled = solver(network, COSINE, timesteps, noise, end_at_clean=True)
    torch.testing.assert_close(sampled, clean, rtol=0, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("num_steps", [1, 2])
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_first_and_last_step_of_dpm_solver_are_ddims(schedule, num_steps, eta):
    timesteps = shifted_timesteps(num_steps)
    for end_at_clean in (True, False):
        options = {"eta": eta, "end_at_clean": end_at_clean}
        expected = ddim(toy_network, schedule, timesteps, noise, **options)
        actual = dpm_solver_2m(toy_network, schedule, timesteps, noise, **options)
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def mixture_network(schedule):
    """The true velocity for numbers around -1.2, 0.3 and 0.9."""
    centers, weights = torch.tensor([-1.2, 0.3, 0.9]), torch.tensor([0.3, 0.3, 0.4])

    def denoise(latent, timestep):
        signal_power = schedule.alphas_cumprod[timestep[0]]
        signal, variance = signal_power.sqrt(), signal_power * 0.25**2 + 1 - signal_power
        error = latent.unsqueeze(-1) - signal * centers
        share = torch.softmax(weights.log() - error.square() / (2 * variance), dim=-1)
        clean = (share * (centers + signal * 0.25**2 / variance * error)).sum(dim=-1)
        return (signal * latent - clean) / (1 - signal_power).sqrt()

    return denoise


def errors(schedule, timesteps, *, end_at_clean):
    """How far each sampler ends from the exact solution."""
    network = mixture_network(schedule)
    options = {"schedule": schedule, "noise": noise}
    every = shifted_timesteps(1000)
    exact = dpm_solver_2m(network, timesteps=every, end_at_clean=True, **options)
    return {
        solver: (solver(network, timesteps=timesteps, end_at_clean=end_at_clean, **options) - exact)
        .square()
        .mean()
        .sqrt()
        .item()
        for solver in (ddim, dpm_solver_2m, unipc)
    }


@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize("num_steps", [4, 6, 10])
def test_few_steps_come_nearer_to_the_exact_solution_than_ddims(schedule, num_steps):
    error = errors(schedule, shifted_timesteps(num_steps), end_at_clean=True)
    assert error[dpm_solver_2m] < 0.97 * error[ddim]
    assert error[unipc] < error[dpm_solver_2m]


def test_extrapolation_fails_over_the_long_last_step_of_the_release():
    # Which is why `choose_sampling` gives these samplers other timesteps.
    error = errors(LINEAR, even_timesteps(10), end_at_clean=False)
    assert error[ddim] < error[unipc] < error[dpm_solver_2m]


@pytest.mark.parametrize(
    ("eta", "draws"), [(0.0, [0]), (0.5, [0, 1, 2, 3]), (1.0, [0, 1, 2, 3])], ids=str
)
def test_noise_is_asked_for_only_where_it_is_added(eta, draws):
    drawn = []

    def recorded(draw):
        drawn.append(draw)
        return noise(draw)

    dpm_solver_2m(toy_network, COSINE, shifted_timesteps(4), recorded, eta=eta, end_at_clean=True)
    assert drawn == draws


@BOTH
def test_a_network_in_lower_precision_leaves_the_latent_in_float32(solver):
    def low(latent, timestep):
        return toy_network(latent, timestep).bfloat16()

    assert solver(low, LINEAR, even_timesteps(4), noise).dtype == torch.float32


@BOTH
@pytest.mark.parametrize("timesteps", [[], [5, 5], [1000, 1]])
def test_timesteps_that_cannot_be_visited_are_refused(solver, timesteps):
    with pytest.raises(ConfigError, match="strictly falling, from 999 down to 0"):
        solver(toy_network, LINEAR, timesteps, noise)


def test_eta_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"eta=1.5 .* choose from 0 \(deterministic\) to 1"):
        dpm_solver_2m(toy_network, LINEAR, [500], noise, eta=1.5)
    with pytest.raises(ConfigError, match="eta=0.5 is not possible with unipc.*choose 0"):
        unipc(toy_network, LINEAR, [500], noise, eta=0.5)

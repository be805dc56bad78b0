import pytest
import torch

from semanticodec.decoder.sampler import (
    ddim,
    even_timesteps,
    guided,
    guided_within,
    release_timesteps,
    shifted_timesteps,
)
from semanticodec.decoder.schedule import Schedule
from semanticodec.errors import ConfigError

LINEAR = Schedule(Schedule.Config())
COSINE = Schedule(Schedule.Config(kind="cosine"))
DIVISORS = [count for count in range(1, 501) if 1000 % count == 0]
SHAPE = (2, 8, 16, 4)


def noise(draw):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(draw))


def toy_network(latent, timestep):
    return torch.sin(1.3 * latent) + timestep.view(-1, 1, 1, 1) / 1000


def test_release_timesteps_equal_recorded_ones():
    assert release_timesteps(5) == [801, 601, 401, 201, 1]
    assert release_timesteps(7) == [995, 853, 711, 569, 427, 285, 143, 1]
    assert release_timesteps(50) == list(range(981, 0, -20))


def test_release_fails_exactly_where_the_released_system_does():
    failing = {3, 9, 27, 36, 37, *range(101, 112), *range(251, 334), *range(501, 1001)}
    for num_steps in range(1, 1001):
        if num_steps in failing:
            with pytest.raises(ConfigError, match="look up timestep 1000 of 1000"):
                release_timesteps(num_steps)
        else:
            assert len(release_timesteps(num_steps)) >= num_steps
    exact = [count for count in range(1, 1001) if count not in failing]
    assert [count for count in exact if len(release_timesteps(count)) == count] == DIVISORS


def test_even_timesteps_are_exact_and_equal_the_release_at_divisors():
    for num_steps in range(1, 1001):
        timesteps = even_timesteps(num_steps)
        assert len(set(timesteps)) == num_steps
        assert timesteps == sorted(timesteps, reverse=True)
        assert timesteps[0] <= 999
        assert timesteps[-1] >= 0
    for num_steps in DIVISORS:
        assert even_timesteps(num_steps) == release_timesteps(num_steps)


@pytest.mark.parametrize("shift", [1.0, 3.0, 12.0, 1000.0])
def test_shifted_timesteps_start_at_noise_and_never_repeat(shift):
    for num_steps in (1, 2, 3, 7, 10, 50, 333, 999, 1000):
        timesteps = shifted_timesteps(num_steps, shift)
        assert timesteps[0] == 999
        assert len(set(timesteps)) == num_steps
        assert timesteps == sorted(timesteps, reverse=True)
        assert timesteps[-1] >= 0


def test_shifted_timesteps_follow_the_formula():
    # t' = 12 t / (1 + 11 t) at t = 1, 3/4, 1/2, 1/4
    expected = [round(1000 * 12 * t / (1 + 11 * t)) - 1 for t in (1, 0.75, 0.5, 0.25)]
    assert shifted_timesteps(4, 12.0) == expected == [999, 972, 922, 799]


def test_shifted_timesteps_without_shift_are_trailing_as_in_diffusers():
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(timestep_spacing="trailing")
    for num_steps in (1, 4, 7, 25, 30, 50):
        scheduler.set_timesteps(num_steps)
        assert shifted_timesteps(num_steps) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("spacing", [release_timesteps, even_timesteps, shifted_timesteps])
@pytest.mark.parametrize("num_steps", [0, -1, 1001])
def test_impossible_step_counts_are_refused(spacing, num_steps):
    with pytest.raises(ConfigError, match=f"num_steps={num_steps} .* from 1 to 1000"):
        spacing(num_steps)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("schedule", "spacing", "timesteps"),
    [(LINEAR, "leading", even_timesteps(10)), (COSINE, "trailing", shifted_timesteps(10))],
    ids=["release", "zero-terminal"],
)
def test_ddim_equals_diffusers(schedule, spacing, timesteps, eta):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(
        clip_sample=False,
        prediction_type="v_prediction",
        set_alpha_to_one=spacing == "trailing",
        timestep_spacing=spacing,
        steps_offset=1,
    )
    scheduler.alphas_cumprod = schedule.alphas_cumprod
    if spacing == "leading":
        scheduler.final_alpha_cumprod = schedule.alphas_cumprod[0]
    scheduler.set_timesteps(10)
    assert scheduler.timesteps.tolist() == timesteps
    expected = noise(0)
    for step, timestep in enumerate(timesteps):
        velocity = toy_network(expected, torch.tensor([timestep]))
        expected = scheduler.step(
            velocity, timestep, expected, eta=eta, variance_noise=noise(step + 1)
        ).prev_sample
    end_at_clean = spacing == "trailing"
    actual = ddim(toy_network, schedule, timesteps, noise, eta=eta, end_at_clean=end_at_clean)
    torch.testing.assert_close(actual, expected, rtol=0, atol=2e-5)


def perfect_network(schedule, clean):
    """The velocity of a network that knows the clean latent."""

    def denoise(latent, timestep):
        signal = schedule.alphas_cumprod[timestep].double().sqrt().view(-1, 1, 1, 1)
        return (signal * latent - clean) / (1 - signal**2).sqrt()

    return denoise


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("num_steps", [1, 2, 13])
def test_ddim_with_a_perfect_network_returns_the_clean_latent(num_steps, eta):
    clean, timesteps = noise(99), shifted_timesteps(num_steps, 3.0)
    network = perfect_network(COSINE, clean)
    sampled = ddim(network, COSINE, timesteps, noise, eta=eta, end_at_clean=True)
    torch.testing.assert_close(sampled, clean, rtol=0, atol=1e-4)


def test_end_of_the_release_keeps_the_noise_of_timestep_0():
    clean, timesteps = noise(99), even_timesteps(4)
    first_timestep = torch.tensor([timesteps[0]] * SHAPE[0])
    network = perfect_network(LINEAR, clean)
    noise_share = LINEAR.predict_noise(noise(0), network(noise(0), first_timestep), first_timestep)
    expected = LINEAR.add_noise(clean, noise_share.float(), torch.zeros(SHAPE[0], dtype=torch.long))
    sampled = ddim(network, LINEAR, timesteps, noise)
    torch.testing.assert_close(sampled, expected, rtol=0, atol=1e-4)
    assert (sampled - clean).abs().max() > 0.05


def test_noise_is_asked_for_only_where_it_is_added():
    draws = []

    def recorded(draw):
        draws.append(draw)
        return noise(draw)

    ddim(toy_network, LINEAR, even_timesteps(4), recorded, eta=0.0)
    assert draws == [0]
    draws.clear()
    ddim(toy_network, LINEAR, even_timesteps(4), recorded, eta=0.5)
    assert draws == [0, 1, 2, 3, 4]
    draws.clear()
    ddim(toy_network, COSINE, shifted_timesteps(4), recorded, eta=0.5, end_at_clean=True)
    assert draws == [0, 1, 2, 3], "the step to the clean latent adds none"


def test_a_network_in_lower_precision_leaves_the_latent_in_float32():
    low = ddim(
        lambda latent, timestep: toy_network(latent, timestep).bfloat16(),
        LINEAR,
        even_timesteps(4),
        noise,
    )
    assert low.dtype == torch.float32


def test_guidance_moves_away_from_the_unconditional_branch():
    def denoise_pair(latent, timestep):
        return torch.cat([latent + 3, latent + 1])  # conditional first

    latent, timestep = noise(0), torch.tensor([500, 500])
    torch.testing.assert_close(guided(denoise_pair, 2.0)(latent, timestep), latent + 5)
    torch.testing.assert_close(guided(denoise_pair, 0.0)(latent, timestep), latent + 1)


def test_guidance_of_1_needs_the_conditional_branch_only():
    assert torch.equal(guided(lambda latent, _: latent + 3, 1.0)(noise(0), None), noise(0) + 3)


@pytest.mark.usefixtures("unchecked_shapes")
def test_guidance_on_an_interval_takes_in_both_its_ends():
    denoise = guided_within((0.2, 0.4), lambda *_: "guided", lambda *_: "conditional", 1000)
    for timestep, expected in {
        0: "conditional",
        199: "conditional",
        200: "guided",
        400: "guided",
        401: "conditional",
        999: "conditional",
    }.items():
        assert denoise(noise(0), torch.tensor([timestep, timestep])) == expected


@pytest.mark.parametrize("eta", [-0.1, 1.5, float("nan")])
def test_eta_out_of_range_is_refused(eta):
    with pytest.raises(ConfigError, match=r"eta=.* choose from 0 \(deterministic\) to 1"):
        ddim(toy_network, LINEAR, [500], noise, eta=eta)


@pytest.mark.parametrize("timesteps", [[], [5, 5], [5, 6], [1000, 1], [3, -1]])
def test_timesteps_that_cannot_be_visited_are_refused(timesteps):
    with pytest.raises(ConfigError, match="strictly falling, from 999 down to 0"):
        ddim(toy_network, LINEAR, timesteps, noise)

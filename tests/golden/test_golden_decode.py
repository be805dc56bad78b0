"""The decoder with official weights against arrays that the official code computed.

Tolerances (largest absolute error) are those stated with the arrays; arrays stored as float16
have 2e-3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden_models import build, golden, max_error
from golden_weights import GOLDEN, SALT, gaussian, rule_noise
from semanticodec import Codes, SemantiCodec, compat
from semanticodec.audio.windows import OVERLAP_SAMPLES, overlap_add
from semanticodec.decoder.sampler import ddim, release_timesteps
from semanticodec.decoder.unet import TUNet

UNET_TOLERANCE = 1e-4
LATENT_TOLERANCE = 2e-4
MEL_TOLERANCE = 5e-4
WAVE_TOLERANCE = 5e-4
HALF_TOLERANCE = 2e-3
GUIDANCE = 2.0


def clip_features(
    codec: SemantiCodec, token_rate: int = 100, clip: str = "a"
) -> tuple[Tensor, ...]:
    """Return the (acoustic, semantic) features of a clip's golden tokens."""
    tokens = torch.from_numpy(golden(f"encode_{token_rate}_4096")[f"{clip}_tokens"]).long()
    return codec.encoder.quantized(tokens[None, :, 0], tokens[None, :, 1], 4096)


def rule_window_noise(window: int, draw: int) -> Tensor:
    return rule_noise(SALT, window, draw)


@dataclass
class Run:
    """A DDIM run: its end, and what the network saw and said on the way."""

    latent: Tensor = field(default_factory=lambda: torch.empty(0))
    seen: list[Tensor] = field(default_factory=list)
    velocities: list[Tensor] = field(default_factory=list)


def sample(
    codec: SemantiCodec, context: Tensor, timesteps: list[int], eta: float, num_frames: int = 256
) -> Run:
    decoder, run = codec.decoder, Run()
    denoise = decoder.denoiser(context, GUIDANCE)

    def recorded(latent: Tensor, timestep: Tensor) -> Tensor:
        velocity = denoise(latent, timestep)
        run.seen.append(latent)
        run.velocities.append(velocity)
        return velocity

    def noise(draw: int) -> Tensor:
        return rule_noise(SALT, 0, draw, num_frames)

    with torch.inference_mode():
        run.latent = ddim(recorded, decoder.schedule, timesteps, noise, eta=eta)
    return run


def first_clean(codec: SemantiCodec, run: Run, timestep: int) -> Tensor:
    return codec.decoder.schedule.predict_latent(
        run.seen[0], run.velocities[0], torch.tensor([timestep])
    )


def release_blocks(unet: TUNet) -> list[nn.Module]:
    """Return the modules whose outputs the release calls input, middle and output blocks."""
    ways: list[nn.Module] = [unet.input_conv]
    for level in unet.down_levels:
        ways += [*level.blocks] + ([level.downsample] if level.downsample else [])
    ways.append(unet.middle)
    for level in unet.up_levels:
        # Its last block of a level contains the up-sampling.
        ways += [*level.blocks[:-1], level.upsample or level.blocks[-1]]
    return ways


def assert_unet_equal(codec: SemantiCodec, token_rate: int) -> None:
    """Compare both branches of the network, and statistics of each of its blocks."""
    arrays = golden(f"unet_{token_rate}_4096")
    num_positions = 512 * token_rate // 100
    unet, condition = codec.decoder.unet, codec.decoder.condition
    latent = torch.from_numpy(gaussian(f"{SALT}|unet_x", (1, 8, 256, 16)))
    timestep = torch.tensor([int(arrays["unet_t"])])
    outputs: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _, __, output: outputs.append(output))
        for block in release_blocks(unet)
    ]
    with torch.inference_mode():
        features = clip_features(codec, token_rate)
        conditional = unet(latent, timestep, condition(*features, num_positions))[0]
        for hook in hooks:
            hook.remove()
        unconditional = unet(latent, timestep, condition.unconditional(1, num_positions))[0]
    assert max_error(conditional, arrays["unet_cond_out"]) < UNET_TOLERANCE
    assert max_error(unconditional, arrays["unet_uncond_out"]) < UNET_TOLERANCE
    assert len(outputs) == len(arrays["unet_block_stats"])
    for index, (output, expected) in enumerate(zip(outputs, arrays["unet_block_stats"])):
        stats = torch.tensor([output.mean(), output.std(), *output.flatten()[:6]])
        assert max_error(stats, expected) < UNET_TOLERANCE, f"block {index}"


def test_the_unet_block_by_block(decoding_codec: SemantiCodec) -> None:
    assert_unet_equal(decoding_codec, 100)
    positions = decoding_codec.decoder.condition.positions
    assert max_error(positions, golden("unet_100_4096")["pos_embed_512x192"]) < 1e-5


@pytest.mark.parametrize(
    ("num_steps", "eta"),
    [(7, 0.0), (10, 1.0), pytest.param(50, 0.0, marks=pytest.mark.slow)],
)
def test_short_windows_step_by_step(
    decoding_codec: SemantiCodec, num_steps: int, eta: float
) -> None:
    arrays = golden("ddim_small_100_4096")
    name = f"S{num_steps}_eta{eta}"
    timesteps = release_timesteps(num_steps)
    assert timesteps == arrays[f"{name}_timesteps"].tolist()
    length = int(arrays["cond_tokens_used"])
    features = [part[:, :length] for part in clip_features(decoding_codec)]
    context = decoding_codec.decoder.condition(*features, length)
    run = sample(decoding_codec, context, timesteps, eta, num_frames=32)
    clean = first_clean(decoding_codec, run, timesteps[0])
    assert max_error(clean[0], arrays[f"{name}_predx0_step1"]) < LATENT_TOLERANCE
    assert max_error(run.seen[1][0], arrays[f"{name}_x_after_step1"]) < LATENT_TOLERANCE
    assert max_error(run.latent[0], arrays[f"{name}_final"]) < LATENT_TOLERANCE
    if num_steps != 50:
        return
    with torch.inference_mode():
        mel = decoding_codec.decoder.mel(run.latent)
        wav = decoding_codec.decoder.vocoder(mel)
    assert max_error(mel[0], arrays["S50_mel"]) < MEL_TOLERANCE
    assert max_error(wav[0], arrays["S50_wave"]) < WAVE_TOLERANCE


@pytest.mark.slow  # its steps are those of short windows, the rest that of the test after it
def test_a_whole_window_to_the_waveform(decoding_codec: SemantiCodec) -> None:
    arrays = golden("ddim_100_4096")
    timesteps = release_timesteps(int(arrays["steps"]))
    assert timesteps == arrays["ddim_eta0_timesteps"].tolist()
    decoder = decoding_codec.decoder
    context = decoder.condition(*clip_features(decoding_codec), 512)
    run = sample(decoding_codec, context, timesteps, eta=0.0)
    clean = first_clean(decoding_codec, run, timesteps[0])
    assert max_error(clean[0], arrays["ddim_eta0_predx0_first"]) < LATENT_TOLERANCE
    assert max_error(run.seen[1][0], arrays["ddim_eta0_x_per_step"][0]) < LATENT_TOLERANCE
    assert max_error(run.latent[0], arrays["ddim_eta0_final"]) < LATENT_TOLERANCE
    with torch.inference_mode():
        mel = decoder.mel(run.latent)
        wav = decoder.vocoder(mel)
    assert max_error(mel[0], arrays["vae_mel"]) < MEL_TOLERANCE
    assert max_error(wav[0], arrays["vocoder_wave"]) < WAVE_TOLERANCE


def decode_clip(codec: SemantiCodec, token_rate: int, clip: str, eta: float) -> Tensor:
    tokens = torch.from_numpy(golden(f"encode_{token_rate}_4096")[f"{clip}_tokens"]).long()
    wav = compat.decode_tokens(
        codec, tokens.unsqueeze(0), 2, GUIDANCE, noise=rule_window_noise, eta=eta
    )
    assert wav.dtype == np.float32
    assert wav.shape[:2] == (1, 1)
    return torch.from_numpy(wav[0, 0])


def test_tokens_of_a_short_clip_to_its_waveform(decoding_codec: SemantiCodec) -> None:
    arrays = golden("decode_100_4096")
    wav = decode_clip(decoding_codec, 100, "a", float(arrays["a_eta"]))
    assert max_error(wav, arrays["a_wave"]) < WAVE_TOLERANCE


@pytest.mark.slow
def test_tokens_of_a_long_clip_to_its_waveform(decoding_codec: SemantiCodec) -> None:
    arrays = golden("decode_100_4096")
    wav = decode_clip(decoding_codec, 100, "c", eta=0.0)
    assert max_error(wav, arrays["c_decode_eta0_2steps_f16"]) < HALF_TOLERANCE
    excerpt = arrays["c_decode_eta0_2steps_f32_143000_175000"]
    assert max_error(wav[143000:175000], excerpt) < WAVE_TOLERANCE


def test_the_codec_decodes_one_window_like_the_release(decoding_codec: SemantiCodec) -> None:
    arrays = golden("decode_100_4096")
    tokens = torch.from_numpy(golden("encode_100_4096")["a_tokens"]).long()
    codes = Codes(
        semantic=tokens[None, :, 0],
        acoustic=tokens[None, :, 1],
        num_samples=(52_800,),
        token_rate=100,
        semantic_vocab_size=4096,
        acoustic_vocab_size=8192,
    )
    wav = decoding_codec.decode(
        codes, num_steps=2, guidance_scale=GUIDANCE, eta=1.0, noise=rule_window_noise
    )
    assert wav.shape == (1, 1, 52_800)
    assert max_error(wav[0, 0], arrays["a_wave"][:52_800]) < WAVE_TOLERANCE


def test_the_schedule_comes_from_the_file(decoding_codec: SemantiCodec) -> None:
    with np.load(GOLDEN / "schedule_linear_0.0015_0.0195.npz") as stored:
        for name, buffer in decoding_codec.decoder.schedule.named_buffers():
            assert max_error(buffer, stored[name]) == 0, name
    assert float(decoding_codec.decoder.latent_scale) == pytest.approx(0.8)


@pytest.mark.parametrize("num_windows", [1, 2, 3])
def test_windows_join_with_the_releases_drift(num_windows: int) -> None:
    arrays = golden_overlap(num_windows)
    windows = [
        torch.from_numpy(gaussian(f"{SALT}|oa|{num_windows}|{index}", (163872,))) * np.float32(0.3)
        for index in range(num_windows)
    ]
    length = int(arrays["len"][-1])
    hop = compat.VOCODER_SAMPLES - OVERLAP_SAMPLES
    joined = torch.cat(list(overlap_add([wav.tanh() for wav in windows], length, hop_samples=hop)))
    assert len(joined) == length
    assert max_error(joined[::5], arrays["f16_every5"]) < HALF_TOLERANCE
    if num_windows > 1:
        assert max_error(joined[153632:163872:4], arrays["f32_153632_163872"]) < 1e-6
    double = joined.double()
    sums = torch.stack([double.sum(), double.square().sum()])
    assert np.allclose(sums.numpy(), arrays["sum_sumsq"], rtol=1e-6, atol=1e-3)


def golden_overlap(num_windows: int) -> dict[str, np.ndarray]:
    prefix = f"n{num_windows}_"
    with np.load(GOLDEN / "overlap_add.npz") as arrays:
        return {
            key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)
        }


@pytest.mark.slow
def test_fifty_steps_of_a_whole_window(decoding_codec: SemantiCodec) -> None:
    arrays = golden("ddim50_full_100_4096")
    decoder = decoding_codec.decoder
    context = decoder.condition(*clip_features(decoding_codec), 512)
    run = sample(decoding_codec, context, release_timesteps(50), float(arrays["eta"]))
    with torch.inference_mode():
        mel = decoder.mel(run.latent)
        wav = decoder.vocoder(mel)
    assert max_error(run.latent[0], arrays["final"]) < LATENT_TOLERANCE
    assert max_error(mel[0], arrays["mel_f16"]) < HALF_TOLERANCE
    assert max_error(wav[0], arrays["wave_f16"]) < HALF_TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("token_rate", [50, 25])
def test_other_rates_decode_too(token_rate: int) -> None:
    codec = build(token_rate, zeros=("audiomae.", "encoder."))
    assert_unet_equal(codec, token_rate)
    arrays = golden(f"decode_{token_rate}_4096")
    wav = decode_clip(codec, token_rate, "a", float(arrays["a_eta"]))
    assert max_error(wav, arrays["a_wave"]) < WAVE_TOLERANCE

"""Drop-in for the official class: its lengths, windows, noise and resampling, as they are.

Everything here differs on purpose from `codec`, which does the right thing instead. Weights and
modules are the same; only the rules around them are the release's.

    path -> channel 0 -> sinc resampling -> padding, mean -> windows -> Encoder -> tokens, cut
    tokens -> windows -> Decoder (eta 1, no seed) -> 163 872 samples each -> overlap-add -> cut
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES, window_fbank
from semanticodec.audio.io import seekable_sound
from semanticodec.audio.windows import OVERLAP_SAMPLES, decode_ranges, overlap_add
from semanticodec.checkpoints.hub import HubAccess, download_official, find_official
from semanticodec.codec import SemantiCodec as Codec
from semanticodec.decoder.noise import WindowNoise
from semanticodec.decoder.sampler import ddim, release_timesteps
from semanticodec.device import AUTO
from semanticodec.errors import AudioError, CodesError
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES, TokenGrid

PATCH_SECONDS = 0.16
# The vocoder emits 32 samples more than a window has, and the release joins them all: its seams
# drift by 2 ms per window.
VOCODER_SAMPLES = WINDOW_SAMPLES + 32
# torchaudio's defaults, with which the released models were trained and run.
RESAMPLE_ZERO_CROSSINGS = 6
RESAMPLE_ROLLOFF = 0.99
RESAMPLE_BLOCK = 65_536  # outputs computed at once, to bound memory


class Sampling(NamedTuple):
    """How one call samples its windows; the last step ends at timestep 0, as in the release."""

    timesteps: list[int]
    guidance_scale: float
    eta: float
    noise: WindowNoise | None


class SemantiCodec:
    """The official class with its constructor, `encode` and `decode` (upstream `SemantiCodec`).

    Attributes:
        codec: the codec whose modules compute; reach the rest of this package through it.
        ddim_sample_step: requested steps; counts that do not divide 1000 run more, as upstream.
        cfg_scale: guidance scale.
    """

    def __init__(
        self,
        token_rate: int = 100,
        semantic_vocab_size: int = 16384,
        ddim_sample_step: int = 50,
        cfg_scale: float = 2.0,
        checkpoint_path: str | os.PathLike[str] | None = None,
        cache_path: str | os.PathLike[str] = "pretrained",
        *,
        device: str | torch.device | None = None,
    ) -> None:
        """Load the official weights.

        Args:
            token_rate: 25, 50 or 100.
            semantic_vocab_size: 4096, 8192, 16384 or 32768.
            ddim_sample_step: 1 to 500; some counts fail upstream and are refused here.
            cfg_scale: guidance scale.
            checkpoint_path: folder in the layout of the Hub repository; None uses the Hub.
            cache_path: where the Hub's files are cached.
            device: where to compute; None takes CUDA, then MPS, then the CPU, as upstream.
        Raises:
            CheckpointError: files missing, damaged or of another model.
            ConfigError: a setting that nobody released.
        """
        release_timesteps(ddim_sample_step)
        if checkpoint_path is None:
            access = HubAccess(cache_dir=str(cache_path))
            files = download_official(token_rate, semantic_vocab_size, access)
        else:
            files = find_official(checkpoint_path, token_rate, semantic_vocab_size)
        self.codec = Codec.from_official(
            encoder=files.encoder,
            decoder=files.decoder,
            codebook=files.codebook,
            token_rate=token_rate,
            device=AUTO if device is None else device,
        )
        self.ddim_sample_step = ddim_sample_step
        self.cfg_scale = cfg_scale

    @property
    def device(self) -> torch.device:
        """Where the codec computes."""
        return self.codec.device

    def encode(self, filepath: str | os.PathLike[str]) -> Int[Tensor, "1 L 2"]:
        """Return the tokens of a sound file; see `encode_file`."""
        return encode_file(self.codec, filepath)

    def decode(
        self, tokens: Tensor, noise: WindowNoise | None = None
    ) -> Float[np.ndarray, "1 1 S"]:
        """Return the waveform of tokens; see `decode_tokens`."""
        return decode_tokens(self.codec, tokens, self.ddim_sample_step, self.cfg_scale, noise)


@torch.inference_mode()
def encode_file(codec: Codec, path: str | os.PathLike[str]) -> Int[Tensor, "1 L 2"]:
    """Return the tokens that the release computes for a sound file.

    Args:
        codec: with official weights.
        path: wav, flac, ogg or mp3; only its first channel is used.
    Returns:
        int64 (semantic, acoustic) pairs on the codec's device; see `num_tokens` for L.
    Raises:
        AudioError: not audio, or NaN among the samples.
    """
    wav = load_first_channel(path)
    length = num_tokens(len(wav), codec.format.stack_factor)
    # Always some padding: a whole number of windows gains a silent one.
    padded = F.pad(wav, (0, WINDOW_SAMPLES - len(wav) % WINDOW_SAMPLES))
    centered = (padded - padded.mean()).to(codec.device)
    num_windows = math.ceil(length / codec.format.positions_per_window)
    tokens = []
    for start in range(0, num_windows * WINDOW_SAMPLES, WINDOW_SAMPLES):
        window = centered[start : start + WINDOW_SAMPLES + LOOKAHEAD_SAMPLES]
        fbank = window_fbank(codec.fbank, window.unsqueeze(0))
        codes = codec.encoder.encode(fbank, codec.semantic_vocab_size)
        tokens.append(torch.stack(codes, dim=-1))
    return torch.cat(tokens, dim=1)[:, :length]


@torch.inference_mode()
def decode_tokens(
    codec: Codec,
    tokens: Tensor,
    num_steps: int = 50,
    guidance_scale: float = 2.0,
    noise: WindowNoise | None = None,
    eta: float = 1.0,
) -> Float[np.ndarray, "1 1 S"]:
    """Return the waveform that the release computes for tokens.

    Args:
        codec: with official weights.
        tokens: int64 [1, L, 2] from `encode_file`, L at least 1.
        num_steps: requested DDIM steps, see `release_timesteps`.
        guidance_scale: 1 turns guidance off.
        noise: None draws from torch's global generator in the release's order, so that
            `torch.manual_seed` gives what it gives there.
        eta: DDIM's stochasticity; the release always uses 1.
    Returns:
        float32, `num_output_samples(L, K)` samples.
    Raises:
        CodesError: wrong shape, or tokens outside their codebooks.
        ConfigError: a number of steps for which the release fails.
    """
    if tokens.ndim != 3 or tokens.shape[0] != 1 or tokens.shape[2] != 2 or not tokens.shape[1]:
        raise CodesError(
            f"tokens have the shape {tuple(tokens.shape)}; give [1, L, 2] with L at least 1"
        )
    length = num_output_samples(tokens.shape[1], codec.format.stack_factor)
    run = Sampling(release_timesteps(num_steps), guidance_scale, eta, noise)
    windows = _decode_windows(codec, tokens, run)
    hop = VOCODER_SAMPLES - OVERLAP_SAMPLES
    joined = torch.cat(list(overlap_add(windows, length, hop_samples=hop)))
    return joined.numpy().reshape(1, 1, -1)


def _decode_windows(
    codec: Codec, tokens: Int[Tensor, "1 L 2"], run: Sampling
) -> Iterator[Float[Tensor, " S"]]:
    decoder, device = codec.decoder, codec.device
    shape = (1, *decoder.config.latent_shape)
    num_positions = codec.format.positions_per_window
    for window, (start, end) in enumerate(decode_ranges(tokens.shape[1], num_positions)):
        codes = tokens[:, start:end].to(device)
        acoustic, semantic = codec.encoder.quantized(
            codes[..., 0], codes[..., 1], codec.semantic_vocab_size
        )

        def draw_noise(draw: int, window: int = window) -> Tensor:
            if run.noise is None:
                return torch.randn(shape, device=device)
            return run.noise(window, draw).to(device)

        context = decoder.condition(acoustic, semantic, num_positions)
        denoise = decoder.denoiser(context, run.guidance_scale)
        latent = ddim(denoise, decoder.schedule, run.timesteps, draw_noise, eta=run.eta)
        yield decoder.vocoder(decoder.mel(latent))[0].float().cpu()


def load_first_channel(path: str | os.PathLike[str]) -> Float[Tensor, " S"]:
    """Return the first channel of a sound file at 16 kHz; the release drops the others.

    Raises:
        AudioError: no such file, not audio, or NaN among the samples.
    """
    try:
        with seekable_sound(path) as sound:
            samples, source_rate = sound.read(dtype="float32", always_2d=True), sound.samplerate
    except (AudioError, soundfile.SoundFileError) as error:
        reason = error.__cause__ or error
        raise AudioError(
            f"{path} is not readable audio ({reason}); give a wav, flac, ogg or mp3 file"
        ) from error
    first = torch.from_numpy(np.ascontiguousarray(samples[:, 0]))
    if not first.isfinite().all():
        raise AudioError(f"{path} holds NaN or infinite samples; replace them before encoding")
    return resample(first, source_rate)


def num_tokens(num_samples: int, stack_factor: int) -> int:
    """Return the release's number of positions; floats and their rounding are part of the rule.

    A whole number of patches gains one more patch (or none: the remainder of a division by 0.16
    is rarely exact), and about 6 % of all lengths gain a single token.
    """
    duration_s = num_samples / SAMPLE_RATE
    padded_s = duration_s + (PATCH_SECONDS - duration_s % PATCH_SECONDS)
    wanted = math.ceil(8 * padded_s / PATCH_SECONDS / stack_factor)
    # Rounding can ask for one more than the windows hold.
    num_windows = num_samples // WINDOW_SAMPLES + 1
    return min(wanted, num_windows * TokenGrid.from_stack_factor(stack_factor).positions_per_window)


def num_output_samples(num_positions: int, stack_factor: int) -> int:
    """Return the samples that the release keeps; now and then one less than 320 per position."""
    duration_s = (num_positions / 8) * 16 * 0.01 * stack_factor
    return int(duration_s * SAMPLE_RATE)


def sinc_kernels(source_rate: int, target_rate: int) -> Float[Tensor, "phases taps"]:
    """Return one Hann-windowed sinc per output phase; both rates without a common divisor.

    Taps of phase p start `width` input samples before floor(p * source_rate / target_rate).
    """
    cutoff = min(source_rate, target_rate) * RESAMPLE_ROLLOFF
    width = math.ceil(RESAMPLE_ZERO_CROSSINGS * source_rate / cutoff)
    phases = torch.arange(target_rate)[:, None]
    taps = phases * source_rate // target_rate + torch.arange(-width, width + 2)
    # Float32 throughout, as in torchaudio: in float64 the result would differ by 3e-6.
    crossings = (taps.float() / source_rate - phases.float() / target_rate) * cutoff
    crossings = crossings.clamp(-RESAMPLE_ZERO_CROSSINGS, RESAMPLE_ZERO_CROSSINGS)
    hann = torch.cos(crossings * math.pi / RESAMPLE_ZERO_CROSSINGS / 2).square()
    return torch.sinc(crossings) * (hann * (cutoff / source_rate))


def resample(
    wav: Float[Tensor, " S"], source_rate: int, target_rate: int = SAMPLE_RATE
) -> Float[Tensor, " S2"]:
    """Resample with the release's windowed sinc, N = ceil(S * target_rate / source_rate).

    Args:
        wav: one channel at `source_rate`.
        source_rate: Hz, positive.
        target_rate: Hz, positive.
    """
    divisor = math.gcd(source_rate, target_rate)
    source_step, target_step = source_rate // divisor, target_rate // divisor
    if source_step == target_step:
        return wav
    kernels = sinc_kernels(source_step, target_step)
    num_taps = kernels.shape[1]
    width = num_taps // 2 - 1
    length = -(-len(wav) * target_step // source_step)
    padded = F.pad(wav, (width, num_taps))
    surroundings = padded.unfold(0, num_taps, 1)  # a view: row i starts at input sample i - width
    blocks = []
    for start in range(0, length, RESAMPLE_BLOCK):
        outputs = torch.arange(start, min(start + RESAMPLE_BLOCK, length))
        rows = surroundings[outputs * source_step // target_step]
        blocks.append((rows * kernels[outputs % target_step]).sum(dim=-1))
    return torch.cat(blocks) if blocks else wav

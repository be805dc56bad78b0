"""The whole decoder: quantized features -> context -> diffusion -> VAE decoder -> vocoder.

acoustic, semantic [B, L, D] -> Condition -> context [B, L, E]
    -> TUNet under the sampler -> latent [B, 8, 256, 16] -> VAEDecoder -> mel [B, 1024, 64]
    -> vocoder -> wav [B, 163 840]            (a window; shorter ones are shorter everywhere)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.decoder.condition import Condition
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.preconditioning import Preconditioning
from semanticodec.decoder.sampler import (
    Denoiser,
    Noise,
    even_timesteps,
    guided,
    guided_within,
    shifted_timesteps,
)
from semanticodec.decoder.sampling import EVERYWHERE, SamplingConfig, SamplingPresets
from semanticodec.decoder.schedule import Schedule
from semanticodec.decoder.unet import PreparedContext, TUNet
from semanticodec.decoder.vae import VAEConfig, VAEDecoder
from semanticodec.decoder.vocoder import VocoderConfig
from semanticodec.decoder.vocoders import make_vocoder
from semanticodec.layers.full_precision import FullPrecision

LATENT_FRAMES = 256
LATENT_BINS = 16
SAMPLES_PER_MEL_FRAME = 160
# Rows of the T-UNet's batch that keep CPU cores busy; more gain little and take memory and time
# until the first sample.
CPU_ROWS = 4
# Share of a GPU's free memory that windows may take together, and the maps of the VAE's largest
# size (one value per mel bin and channel) that a window holds at its peak.
MEMORY_SHARE = 0.5
MAPS_PER_WINDOW = 8
# Where free memory cannot be asked for.
DEFAULT_WINDOWS = 8


class Decoder(FullPrecision):
    """Everything right of the codes in the paper's Figure 2."""

    latent_scale: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """The decoder's modules, and how it samples.

        Attributes:
            condition: sizes of the context.
            unet: sizes of the T-UNet.
            schedule: form of the noise schedule.
            preconditioning: size of the latent's statistics; None does without (as the release).
            vae: sizes of the VAE, whose decoder is used.
            vocoder: sizes of the vocoder, of one of the classes there are.
            sampling: sampling settings where nothing else is asked for.
            sampling_presets: sampling settings of the other qualities.
        """

        condition: Condition.Config = field(default_factory=Condition.Config)
        unet: TUNet.Config = field(default_factory=TUNet.Config)
        schedule: Schedule.Config = field(default_factory=Schedule.Config)
        preconditioning: Preconditioning.Config | None = None
        vae: VAEConfig = field(default_factory=VAEConfig)
        vocoder: VocoderConfig = field(default_factory=HiFiGAN.Config)
        sampling: SamplingConfig = field(default_factory=SamplingConfig)
        sampling_presets: SamplingPresets = field(default_factory=SamplingPresets)

        @property
        def latent_shape(self) -> tuple[int, int, int]:
            """Channels C, frames T and frequencies F of a whole window's latent."""
            return self.unet.in_channels, self.unet.latent_frames, self.unet.latent_bins

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.condition = Condition(config.condition)
        self.unet = TUNet(config.unet)
        self.schedule = Schedule(config.schedule)
        self.preconditioning = None
        if config.preconditioning is not None:
            self.preconditioning = Preconditioning(config.preconditioning)
        self.vae = VAEDecoder(config.vae)
        self.vocoder = make_vocoder(config.vocoder)
        # The diffusion works on latents of about unit variance: latent = VAE latent * scale.
        self.register_buffer("latent_scale", torch.ones(()))
        # Of no condition; replaced as a whole, since threads may share the decoder.
        self._prepared: tuple[object, PreparedContext] | None = None

    def timesteps(self, num_steps: int, shift: float | None = None) -> list[int]:
        """Return the decreasing timesteps of a run.

        Args:
            num_steps: network evaluations.
            shift: `timestep_shift` of a `SamplingConfig` (None: the model's standard one's).
        """
        shift = self.config.sampling.timestep_shift if shift is None else shift
        return shifted_timesteps(num_steps, shift) if shift else even_timesteps(num_steps)

    def velocity(
        self,
        latent: Float[Tensor, "B C T F"],
        timestep: Int[Tensor, " B"],
        context: Float[Tensor, "B L E"] | PreparedContext,
    ) -> Float[Tensor, "B C T F"]:
        """Return the velocity v_θ(z_n, n, E) of Eq. 9.

        Args:
            latent: noisy latent z_n, in the diffusion's scale.
            timestep: n, of every item.
            context: E, or what the T-UNet prepared of it.
        """
        if self.preconditioning is None:
            return self.unet(latent, timestep, context)
        return self.preconditioning.velocity(
            lambda scaled: self.unet(scaled, timestep, context), self.schedule, latent, timestep
        )

    def denoiser(
        self,
        context: Float[Tensor, "B L E"],
        guidance_scale: float,
        guidance_interval: tuple[float, float] = EVERYWHERE,
    ) -> Denoiser:
        """Return the guided velocity prediction for the contexts of one or more windows.

        Args:
            context: output of `condition`.
            guidance_scale: classifier-free guidance scale; see `SamplingConfig`.
            guidance_interval: range of noise levels that are guided; see `SamplingConfig`.
        """
        prepared = self.unet.prepare_context(context)

        def conditional(
            latent: Float[Tensor, "B C T F"], timestep: Int[Tensor, " B"]
        ) -> Float[Tensor, "B C T F"]:
            return self.velocity(latent, timestep, prepared)

        if guidance_scale == 1:
            return conditional
        both = prepared.joined(self._without_condition(context.shape[1]).expanded(len(context)))

        def pair(
            latent: Float[Tensor, "B C T F"], timestep: Int[Tensor, " B"]
        ) -> Float[Tensor, "2*B C T F"]:
            return self.velocity(latent.repeat(2, 1, 1, 1), timestep.repeat(2), both)

        everywhere = guided(pair, guidance_scale)
        if guidance_interval == EVERYWHERE:
            return everywhere
        num_timesteps = self.schedule.num_timesteps
        return guided_within(guidance_interval, everywhere, conditional, num_timesteps)

    def _without_condition(self, num_positions: int) -> PreparedContext:
        """Return what the T-UNet computes of no condition, anew only for other weights."""
        weights = self.unet.parameters()
        state = [(weight.data_ptr(), _version(weight)) for weight in weights]
        key = num_positions, hash(tuple(state))
        prepared = self._prepared
        if prepared is None or prepared[0] != key:
            context = self.condition.unconditional(1, num_positions)
            self._prepared = prepared = key, self.unet.prepare_context(context)
        return prepared[1]

    def sample(
        self, context: Float[Tensor, "B L E"], noise: Noise, settings: SamplingConfig
    ) -> Float[Tensor, "B C T F"]:
        """Return the denoised latents of windows, in the diffusion's scale (Eq. 8, 10).

        Args:
            context: output of `condition`.
            noise: start latent (draw 0) and the noise of every step (draw i + 1), float32 on any
                device, of all windows together.
            settings: sampling settings.
        """
        return settings.solver()(
            self.denoiser(context, settings.guidance_scale, settings.guidance_interval),
            self.schedule,
            self.timesteps(settings.num_steps, settings.timestep_shift),
            lambda draw: noise(draw).to(context.device),
            end_at_clean=settings.timestep_shift > 0,
        )

    def mel(self, latent: Float[Tensor, "B C T F"]) -> Float[Tensor, "B T2 M"]:
        """Return the log mel of a sampled latent."""
        dtype = next(self.vae.parameters()).dtype
        return self.vae((latent / self.latent_scale).to(dtype))

    def waveform(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return float32 samples, 160 per mel frame (HiFi-GAN's 32 extra samples are cut)."""
        dtype = next(self.vocoder.parameters(), mel).dtype
        return self.vocoder(mel.to(dtype)).float()[:, : SAMPLES_PER_MEL_FRAME * mel.shape[1]]

    @torch.inference_mode()
    def decode_windows(
        self,
        halves: Sequence[tuple[Float[Tensor, "1 _L D"], Float[Tensor, "1 _L D"]]],
        num_positions: int,
        settings: SamplingConfig,
        noise: Noise,
    ) -> Float[Tensor, "B S"]:
        """Return the samples of windows, on the CPU: 163 840 of a whole one.

        Args:
            halves: quantized acoustic and semantic features of every window.
            num_positions: positions of every window with its padding.
            settings: sampling settings.
            noise: noise of all windows together, see `sample`.
        """
        device = self.latent_scale.device
        contexts = [
            self.condition(*(half.to(device, torch.float32) for half in pair), num_positions)
            for pair in halves
        ]
        latent = self.sample(torch.cat(contexts), noise, settings)
        # Only the T-UNet's maps are small enough to gain on a CPU from more than one window.
        parts = latent.split(1) if device.type == "cpu" else [latent]
        return torch.cat([self.waveform(self.mel(part)).cpu() for part in parts])

    def windows_at_once(self, settings: SamplingConfig) -> int:
        """Return how many windows `decode_windows` should be given at once, within memory."""
        device = self.latent_scale.device
        if device.type == "cpu":
            return max(CPU_ROWS // (1 if settings.guidance_scale == 1 else 2), 1)
        if device.type != "cuda":
            return DEFAULT_WINDOWS
        config = self.config.vae
        _, num_frames, num_bins = self.config.latent_shape
        cells = 16 * num_frames * num_bins
        channels = config.base_channels * max(config.channel_multipliers[:2])
        num_bytes = MAPS_PER_WINDOW * cells * channels * next(self.vae.parameters()).element_size()
        free, _ = torch.cuda.mem_get_info(device)
        return max(int(MEMORY_SHARE * free) // num_bytes, 1)


def _version(weight: Tensor) -> int:
    """Return a number that grows when a weight is written to; 0 where torch counts none."""
    return 0 if weight.is_inference() else weight._version

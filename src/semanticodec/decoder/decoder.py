"""The whole decoder: quantised features -> context -> diffusion -> VAE decoder -> vocoder.

acoustic, semantic [B, L, D] -> Condition -> context [B, L, C]
    -> TUNet under the sampler -> latent [B, 8, 256, 16] -> VAEDecoder -> mel [B, 1024, 64]
    -> vocoder -> wav [B, 163 840]
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.decoder.condition import Condition
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.multistep import dpm_solver_2m, unipc
from semanticodec.decoder.sampler import (
    Denoiser,
    Noise,
    ddim,
    even_timesteps,
    guided,
    guided_within,
    shifted_timesteps,
)
from semanticodec.decoder.sampling import EVERYWHERE, SamplingConfig, SamplingPresets
from semanticodec.decoder.schedule import Schedule
from semanticodec.decoder.unet import TUNet
from semanticodec.decoder.vae import VAEConfig, VAEDecoder
from semanticodec.decoder.vocos import Vocos

WINDOW_SAMPLES = 163_840
LATENT_FRAMES = 256
LATENT_BINS = 16
# The functions behind the names in `sampling.SAMPLERS`.
SOLVERS = {"ddim": ddim, "dpm++2m": dpm_solver_2m, "unipc": unipc}


def make_vocoder(config: HiFiGAN.Config | Vocos.Config) -> HiFiGAN | Vocos:
    """Return the vocoder that a configuration describes."""
    return Vocos(config) if isinstance(config, Vocos.Config) else HiFiGAN(config)


class Decoder(nn.Module):
    """Everything right of the codes in the paper's Figure 2."""

    latent_scale: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config:
        condition: Condition.Config = field(default_factory=Condition.Config)
        unet: TUNet.Config = field(default_factory=TUNet.Config)
        schedule: Schedule.Config = field(default_factory=Schedule.Config)
        vae: VAEConfig = field(default_factory=VAEConfig)
        vocoder: HiFiGAN.Config | Vocos.Config = field(default_factory=HiFiGAN.Config)
        sampling: SamplingConfig = field(default_factory=SamplingConfig)
        sampling_presets: SamplingPresets = field(default_factory=SamplingPresets)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.condition = Condition(config.condition)
        self.unet = TUNet(config.unet)
        self.schedule = Schedule(config.schedule)
        self.vae = VAEDecoder(config.vae)
        self.vocoder = make_vocoder(config.vocoder)
        # The diffusion works on latents of about unit variance: latent = VAE latent * scale.
        self.register_buffer("latent_scale", torch.ones(()))

    def timesteps(self, num_steps: int, shift: float | None = None) -> list[int]:
        """Return the decreasing timesteps of a run.

        Args:
            num_steps: network evaluations.
            shift: `timestep_shift` of a `SamplingConfig` (None: the model's standard one's).
        """
        shift = self.config.sampling.timestep_shift if shift is None else shift
        return shifted_timesteps(num_steps, shift) if shift else even_timesteps(num_steps)

    def denoiser(
        self,
        context: Float[Tensor, "1 L C"],
        guidance_scale: float,
        guidance_interval: tuple[float, float] = EVERYWHERE,
    ) -> Denoiser:
        """Return the guided velocity prediction for one window's context.

        Args:
            context: output of `condition`.
            guidance_scale: see `SamplingConfig`.
            guidance_interval: see `SamplingConfig`.
        """
        if guidance_scale != 1 and guidance_interval != EVERYWHERE:
            return guided_within(
                guidance_interval,
                self.denoiser(context, guidance_scale),
                self.denoiser(context, 1.0),
                self.schedule.num_timesteps,
            )
        branches = [context]
        if guidance_scale != 1:
            branches.append(self.condition.unconditional(1, context.shape[1]).to(context))
        prepared = self.unet.prepare_context(torch.cat(branches))

        def velocities(latent: Tensor, timestep: Tensor) -> Tensor:
            rows = latent.expand(len(branches), -1, -1, -1)
            return self.unet(rows, timestep.expand(len(branches)), prepared)

        return guided(velocities, guidance_scale)

    def sample_latent(
        self,
        context: Float[Tensor, "1 L C"],
        noise: Noise,
        *,
        timesteps: list[int],
        guidance_scale: float,
        eta: float,
        sampler: str = "ddim",
        guidance_interval: tuple[float, float] = EVERYWHERE,
        end_at_clean: bool | None = None,
    ) -> Float[Tensor, "1 C T F"]:
        """Return the denoised latent of one window, in the diffusion's scale (Eq. 8, 10).

        Args:
            context: output of `condition`.
            noise: start latent (draw 0) and the noise of every step (draw i + 1), float32.
            timesteps: decreasing, as `timesteps(num_steps)` gives them.
            guidance_scale: see `SamplingConfig`.
            eta: see `SamplingConfig`.
            sampler: see `SamplingConfig`.
            guidance_interval: see `SamplingConfig`.
            end_at_clean: see `ddim` (None: as the model's standard `timestep_shift` says).
        """
        if end_at_clean is None:
            end_at_clean = self.config.sampling.timestep_shift > 0
        return SOLVERS[sampler](
            self.denoiser(context, guidance_scale, guidance_interval),
            self.schedule,
            timesteps,
            noise,
            eta=eta,
            end_at_clean=end_at_clean,
        )

    def mel(self, latent: Float[Tensor, "B C T F"]) -> Float[Tensor, "B 4T 4F"]:
        """Return the log mel of a sampled latent."""
        dtype = next(self.vae.parameters()).dtype
        return self.vae((latent / self.latent_scale.float()).to(dtype))

    def waveform(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return float32 samples, 160 per mel frame (HiFi-GAN's 32 extra samples are cut)."""
        dtype = next(self.vocoder.parameters()).dtype
        return self.vocoder(mel.to(dtype)).float()[:, : 160 * mel.shape[1]]

    @torch.inference_mode()
    def decode_window(
        self,
        acoustic: Float[Tensor, "1 L D"],
        semantic: Float[Tensor, "1 L D"],
        num_positions: int,
        settings: SamplingConfig,
        noise: Noise,
    ) -> Float[Tensor, " S"]:
        """Return the 163 840 samples of one window, on the CPU.

        Args:
            acoustic: quantized acoustic features.
            semantic: quantized semantic features, of the same shape.
            num_positions: of a whole window.
            settings: how to sample.
            noise: of this window, see `sample_latent`.
        """
        device = self.latent_scale.device
        acoustic, semantic = (half.to(device, torch.float32) for half in (acoustic, semantic))
        latent = self.sample_latent(
            self.condition(acoustic, semantic, num_positions),
            lambda draw: noise(draw).to(device),
            timesteps=self.timesteps(settings.num_steps, settings.timestep_shift),
            guidance_scale=settings.guidance_scale,
            eta=settings.eta,
            sampler=settings.sampler,
            guidance_interval=settings.guidance_interval,
            end_at_clean=settings.timestep_shift > 0,
        )
        wav = self.waveform(self.mel(latent))[0].cpu()
        assert wav.shape[0] == WINDOW_SAMPLES, wav.shape
        return wav

"""Training of a vocoder: mel loss + GAN losses + feature matching (see `waveform`).

wav -> mel [-> VAE or codec -> mel, for some items] -> vocoder -> generated
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.audio.mel import HOP_LENGTH, Mel
from semanticodec.checkpoints.trained_module import export_trained, load_vae, restore_module
from semanticodec.decoder.vae import VAE, sample_latent
from semanticodec.decoder.vocoder import VocoderConfig
from semanticodec.decoder.vocoders import make_vocoder
from semanticodec.decoder.vocos import Vocos
from semanticodec.errors import ConfigError
from semanticodec.training.data import Batch, rand_per_item, randn_per_item
from semanticodec.training.monitor import Sample
from semanticodec.training.stage import StepOutput
from semanticodec.training.stages.decoded_mels import DecodedMels
from semanticodec.training.stages.waveform import DISCRIMINATORS, WaveformStage

# Mel frames that one frame of the VAE's latent covers.
VAE_STRIDE = 4


class VocoderStage(WaveformStage):
    """Trains a vocoder; exports it as `vocoder`."""

    config: Config

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config(WaveformStage.Config):
        """Sizes and weights.

        Attributes:
            vocoder: sizes; the class decides which vocoder is trained.
            vae_probability: share of items whose mel goes through the VAE first, if the run has
                one (`--module vae=FOLDER`) and no codec takes the item.
            codec_probability: share of the items whose mel goes through a codec at one of its
                rates, if the run has one (`--module codec=FOLDER`). The vocoder then learns to
                make up for what the codec usually loses.
        """

        vocoder: VocoderConfig = Vocos.Config()
        vae_probability: float = 0.5
        codec_probability: float = 0.5

    @classmethod
    def build(cls, config: Config, modules: Mapping[str, Path]) -> VocoderStage:
        """Make the stage.

        Args:
            config: settings of the training.
            modules: if wanted a frozen `vae`, a finished `codec`, `discriminators` of another run.

        Raises:
            ConfigError: another module is given.
        """
        if set(modules) - {"vae", "codec", DISCRIMINATORS}:
            raise ConfigError(
                f"The vocoder stage uses the modules vae, codec and discriminators at most, but "
                f"got {', '.join(modules)}; leave out the others."
            )
        stage = cls(
            config,
            load_vae(modules["vae"]) if "vae" in modules else None,
            DecodedMels(modules["codec"]) if "codec" in modules else None,
        )
        stage.restore_discriminators(modules.get(DISCRIMINATORS))
        return stage

    def __init__(
        self, config: Config, vae: VAE | None = None, decoded: DecodedMels | None = None
    ) -> None:
        vocoder = make_vocoder(config.vocoder)
        super().__init__(config)
        self.mel = Mel()
        self.vocoder = vocoder
        # In a list, so that the frozen VAE is neither trained nor saved with every checkpoint.
        self._vae = [vae] if vae is not None else []
        self._decoded = decoded

    def initialize(self, folder: Path) -> None:
        """Start the vocoder from an export of the same class and sizes."""
        restore_module(self.vocoder, folder, "vocoder")

    def generators(self) -> Sequence[nn.Module]:
        """Return the vocoder."""
        return [self.vocoder]

    def _input(self, batch: Batch) -> Float[Tensor, "B T M"]:
        """Return the mel of every item, through the VAE or the codec for a random share of them."""
        with torch.autocast(batch.wav.device.type, enabled=False), torch.no_grad():
            mel = self.mel(batch.wav)
            if self._vae:
                rows = _chosen(batch, self.config.vae_probability)
                mel = self._through_vae(mel, rows, [batch.generators[row] for row in rows])
            if self._decoded is not None:
                mel = mel.clone()
                for row in _chosen(batch, self.config.codec_probability):
                    mel[row] = self._decoded.mel(batch.wav[row], batch.generators[row])
        return mel

    @torch.no_grad()
    def _through_vae(
        self, mel: Float[Tensor, "B T M"], rows: list[int], generators: list[torch.Generator]
    ) -> Float[Tensor, "B T M"]:
        if not rows:
            return mel
        (vae,) = self._vae
        if next(vae.parameters()).device != mel.device:
            vae.to(mel.device)
        mean, logvar = (moment.float() for moment in vae.encode(mel[rows]))
        noise = randn_per_item(generators, tuple(mean.shape[1:]), mean.device)
        passed = mel.clone()
        passed[rows] = vae.decode(sample_latent(mean, logvar, noise)).float()
        return passed

    def generator_step(self, batch: Batch) -> StepOutput:
        """Return the loss of what the vocoder makes of the mels.

        Raises:
            ConfigError: the crops do not make whole frames.
        """
        frame = HOP_LENGTH * (VAE_STRIDE if self._vae else 1)
        num_samples = batch.wav.shape[-1]
        if num_samples % frame:
            raise ConfigError(
                f"Crops of {num_samples} samples do not make whole frames; choose a multiple of "
                f"{frame}."
            )
        return self.waveform_loss(batch, self.vocoder, self._input(batch), batch.wav)

    def samples(self, batch: Batch) -> dict[str, Sample]:
        """Return recording and generated audio of the first item."""
        first = Batch(wav=batch.wav[:1], generators=batch.generators[:1], step=batch.step)
        generated = self.vocoder(self._input(first)).float()[:, : first.wav.shape[1]]
        return {
            "target": Sample(spectrogram=self.mel(first.wav)[0], wav=first.wav[0]),
            "generated": Sample(spectrogram=self.mel(generated)[0], wav=generated[0]),
        }

    def export(self, folder: Path) -> None:
        """Write the vocoder."""
        export_trained(folder, "vocoder", self.vocoder)


def _chosen(batch: Batch, probability: float) -> list[int]:
    """Return the items that a draw of their own picks."""
    return (rand_per_item(batch.generators, ()) < probability).nonzero()[:, 0].tolist()

"""Mels as a finished codec decodes them, for a vocoder that is to mend what the codec loses.

wav -> codes of one of the model's rates -> latent diffusion -> VAE decoder -> mel
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.windows import STEP_SAMPLES
from semanticodec.checkpoints.pretrained import read_index
from semanticodec.codec import SemantiCodec
from semanticodec.errors import ConfigError
from semanticodec.token_format import WINDOW_SAMPLES

LATENT_SAMPLES = 640


class DecodedMels:
    """Encodes and decodes crops up to the mel, with the model's default sampling.

    Args:
        folder: model folder; every token rate in it is used.
    Raises:
        CheckpointError: no model folder, or a damaged one.
        ConfigError: a model that pads its windows, for which short crops cost whole ones.
    """

    def __init__(self, folder: Path) -> None:
        rates = sorted(int(rate) for rate in read_index(folder)["token_rates"])
        self._codecs = [SemantiCodec.from_pretrained(folder, token_rate=rate) for rate in rates]
        if any(codec.config.pads_windows for codec in self._codecs):
            raise ConfigError(
                f"{folder} computes every window at 10.24 s; give a model with pads_windows=False."
            )

    @torch.no_grad()
    def mel(self, wav: Float[Tensor, " S"], generator: torch.Generator) -> Float[Tensor, "T M"]:
        """Return the log mel that a crop has after coding, on its device.

        Args:
            wav: a multiple of 0.32 s, at most a window.
            generator: random numbers for the rate and the noise.
        Raises:
            ConfigError: another length.
        """
        if len(wav) % STEP_SAMPLES or len(wav) > WINDOW_SAMPLES:
            raise ConfigError(
                f"Crops of {len(wav)} samples do not make a window of the codec; the recipe needs "
                f"a multiple of {STEP_SAMPLES} up to {WINDOW_SAMPLES}."
            )
        choice = torch.randint(len(self._codecs), (), generator=generator)
        codec = self._codecs[int(choice)].to(wav.device)
        acoustic, semantic = codec.features(wav, "all").to(wav.device).chunk(2, dim=-1)
        decoder = codec.decoder
        length = codec.format.num_positions(len(wav))
        channels, _, num_bins = codec.config.decoder.latent_shape
        shape = (1, channels, len(wav) // LATENT_SAMPLES, num_bins)
        latent = decoder.sample(
            decoder.condition(acoustic, semantic, length),
            lambda draw: torch.randn(shape, generator=generator),
            codec.sampling(),
        )
        return decoder.mel(latent)[0]

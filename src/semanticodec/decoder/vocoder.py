"""Vocoders: what the codec and the training ask of one, and the table of all there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.vocos import Vocos


@runtime_checkable
class VocoderConfig(Protocol):
    """What the Config of every vocoder holds; all other sizes are the vocoder's own."""

    @property
    def num_mel_bins(self) -> int:
        """M, the bins of the mel spectrogram."""
        ...


@runtime_checkable
class Vocoder(Protocol):
    """An `nn.Module` that is made from its nested Config and turns log mels into waveforms."""

    @property
    def config(self) -> VocoderConfig:
        """The Config that the vocoder was made from."""
        ...

    def __call__(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return the waveform in [-1, 1], at least 160 samples for each frame of the mel.

        Args:
            mel: natural-log mel magnitudes, 100 frames per second.
        """
        ...


# Names as config.json has them.
VOCODERS: Mapping[str, type[nn.Module]] = {"hifigan": HiFiGAN, "vocos": Vocos}


def make_vocoder(config: VocoderConfig) -> nn.Module:
    """Return the vocoder that a configuration describes."""
    [kind] = [kind for kind in VOCODERS.values() if type(config) is kind.Config]
    return kind(config)

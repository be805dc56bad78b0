"""What the codec and its training ask of a vocoder.

    mel [B, T, M] -> waveform [B, S]

A vocoder is one file with a class derived from `Vocoder` and its nested Config, one line in the
table of `vocoders.py`, and a recipe.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class VocoderConfig(Protocol):
    """What the Config of every vocoder holds; a frozen dataclass, as all Configs are."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def num_mel_bins(self) -> int:
        """M, the number of mel bins: a field of this name."""
        ...


class Vocoder(nn.Module):
    """Base of all vocoders.

    Attributes:
        Config: class of the sizes, nested in every vocoder.
        config: sizes that the vocoder was made from.
    """

    Config: ClassVar[Any]
    config: VocoderConfig

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return waveforms in [-1, 1]: 160 samples for each frame, or a few more at the end.

        Args:
            mel: natural-log mel magnitudes, 100 frames per second.
        """
        raise NotImplementedError

"""The modules that encoding and decoding pass through, in order of execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from semanticodec.codec import SemantiCodec

ENCODE, DECODE = "encode", "decode"
REST = "rest"  # time that no module accounts for


@dataclass(frozen=True, kw_only=True)
class Module:
    """One module of the codec.

    Attributes:
        title: name in reports.
        owner: submodule of the codec that has the method.
        method: method that does the work; its first argument has one row per window.
    """

    title: str
    owner: str
    method: str = "forward"

    @property
    def is_encoder(self) -> bool:
        """Whether it computes in float32 whatever the decoder's precision."""
        return not self.owner.startswith("decoder")


SAMPLER = "sampler"
MODULES = MappingProxyType(
    {
        "fbank": Module(title="filter bank", owner="fbank"),
        "audiomae": Module(title="AudioMAE", owner="encoder.audiomae"),
        "semantic": Module(title="semantic code search", owner="encoder.semantic", method="encode"),
        "lstm": Module(title="acoustic encoder (LSTM)", owner="encoder.acoustic"),
        "acoustic": Module(
            title="acoustic code search", owner="encoder.quantizer", method="encode"
        ),
        SAMPLER: Module(title="sampler's own", owner="decoder", method="sample"),
        "context": Module(
            title="T-UNet, keys and values of the codes",
            owner="decoder.unet",
            method="prepare_context",
        ),
        "unet": Module(title="T-UNet", owner="decoder.unet"),
        "vae": Module(title="VAE decoder", owner="decoder.vae"),
        "vocoder": Module(title="vocoder", owner="decoder.vocoder"),
    }
)


def watched_methods(codec: SemantiCodec, names: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """Return what a `ModuleClock` watches: (object, name of its method) by the module's name."""
    return {
        name: (codec.get_submodule(MODULES[name].owner), MODULES[name].method) for name in names
    }

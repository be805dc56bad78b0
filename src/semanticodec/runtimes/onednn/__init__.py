"""oneDNN's kernels for inference on CPUs: the one place that puts them in for textbook layers.

    use_onednn(model)    from then on its modules compute as the classes of `FAST` do

Weights, their names, and everything else about a model stay what they are. A fast module looks at
every input: where its kernel does not apply (gradients, GPUs, other types, autocast, torch.compile,
exporters) it computes as the layer that it stands for. So a model may be moved, cast, trained,
copied and pickled afterwards.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from semanticodec.decoder.condition import AlignedProjection
from semanticodec.decoder.unet import TUNet
from semanticodec.decoder.vae import VAEDecoder
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.nearest import NearestSearch
from semanticodec.encoder.quantizer import Quantizer
from semanticodec.layers.attention import DotProductAttention, GatedFeedForward
from semanticodec.layers.residual import PointwiseConv, Upsample
from semanticodec.runtimes.onednn.attention import FastDotProductAttention, FastGatedFeedForward
from semanticodec.runtimes.onednn.linear import FastLinear, FastNearestSearch
from semanticodec.runtimes.onednn.lstm import FastAcousticEncoder, FastLSTM
from semanticodec.runtimes.onednn.maps import (
    FastConv2d,
    FastPointwiseConv,
    FastSiLU,
    FastUpsample,
    FirstConv2d,
)

ModuleT = TypeVar("ModuleT", bound=nn.Module)

# A layer and the subclass that stands in for it. Only this very class is replaced: one that is
# derived from it may compute something else.
FAST: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: FastLinear,
    nn.LSTM: FastLSTM,
    nn.Conv2d: FastConv2d,
    nn.SiLU: FastSiLU,
    DotProductAttention: FastDotProductAttention,
    GatedFeedForward: FastGatedFeedForward,
    PointwiseConv: FastPointwiseConv,
    Upsample: FastUpsample,
    AcousticEncoder: FastAcousticEncoder,
    NearestSearch: FastNearestSearch,
}
# Networks that gain from maps with the channels last: the names of their first convolutions.
FIRST_CONVOLUTIONS: dict[type[nn.Module], str] = {TUNet: "input_conv", VAEDecoder: "unpack"}
# Their linear maps stay torch's. A quantizer's are applied to whole batches, and codes must not
# depend on those; an aligned projection runs once per decode.
KEPT = (Quantizer, AlignedProjection)


def use_onednn(model: ModuleT) -> ModuleT:
    """Let a model's layers compute by oneDNN in inference on a CPU, and return the model.

    Args:
        model: any module; layers that have no faster kernel stay as they are.
    """
    kept = {
        child
        for owner in model.modules()
        if isinstance(owner, KEPT)
        for child in owner.children()
        if isinstance(child, nn.Linear)
    }
    firsts: list[nn.Module] = []
    for module in model.modules():
        if module not in kept:
            # As torch's own parametrizations do: the instance keeps its weights, hooks and place.
            module.__class__ = FAST.get(type(module), type(module))
        if type(module) in FIRST_CONVOLUTIONS:
            firsts.append(getattr(module, FIRST_CONVOLUTIONS[type(module)]))
    for first in firsts:
        first.__class__ = FirstConv2d
    return model

"""The modules after the quantizers in onnxruntime, in place of torch's: faster on CPUs in float32.

Measured on one AMD core, onnxruntime over torch: T-UNet step 1.8 to 2.0 times as fast in the
built-in model and 1.2 to 1.4 at official size, VAE decoder 1.1 to 1.3 and 0.9, vocoder 1.2 and 1.1.

Shapes: B batch · C channels · T frames · F latent frequency · L positions · D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from semanticodec.decoder.unet import PreparedContext, TUNet
from semanticodec.runtimes.onnx_export import check_exportable, graph_bytes
from semanticodec.runtimes.onnx_graphs import context_tensors, decoder_graphs
from semanticodec.runtimes.onnx_session import open_session, require, run_session

if TYPE_CHECKING:
    from semanticodec import SemantiCodec


class OnnxStep:
    """Stands for `TUNet.forward`; the context is still prepared by the T-UNet.

    Args:
        unet: the T-UNet whose step it is.
        session: inference session of the step's graph.
    """

    def __init__(self, unet: TUNet, session: Any) -> None:
        self._unet = unet
        self._session = session

    def __call__(
        self,
        latent: Float[Tensor, "B C T F"],
        timestep: Int[Tensor, " B"],
        context: Float[Tensor, "B L E"] | PreparedContext,
    ) -> Float[Tensor, "B C T F"]:
        """Return the predicted velocity."""
        is_prepared = isinstance(context, PreparedContext)
        prepared = context if is_prepared else self._unet.prepare_context(context)
        inputs = {"latent": latent, "timestep": timestep, **context_tensors(prepared)}
        return run_session(self._session, inputs)


class OnnxModule:
    """Stands for the forward pass of a module with one input.

    Args:
        name: name of the input in the graph.
        session: inference session of the graph.
    """

    def __init__(self, name: str, session: Any) -> None:
        self._name = name
        self._session = session

    def __call__(self, features: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Return what the module returns."""
        return run_session(self._session, {self._name: features})


class OnnxVocoder:
    """Stands for the forward pass of a vocoder with a harmonic source.

    Args:
        pitch: inference session of the graph of the pitch.
        vocoder: inference session of the vocoder's graph.
    """

    def __init__(self, pitch: Any, vocoder: Any) -> None:
        self._pitch = pitch
        self._vocoder = vocoder

    def __call__(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return the waveform."""
        pitch = run_session(self._pitch, {"mel": mel})
        return run_session(self._vocoder, {"mel": mel, "pitch": pitch})


def use_onnxruntime(codec: SemantiCodec) -> None:
    """Let T-UNet, VAE decoder and vocoder of a codec run in onnxruntime from now on.

    Args:
        codec: codec on the CPU, in float32; moved elsewhere, the modules would not follow.
    Raises:
        ConfigError: a codec elsewhere or in another precision.
        MissingDependencyError: without the packages of the extra `[onnx]`.
    """
    require("onnxruntime", "running ONNX graphs")
    check_exportable(codec)
    decoder = codec.decoder
    graphs = decoder_graphs(decoder, codec.format.positions_per_window)
    sessions = {name: open_session(graph_bytes(graph)) for name, graph in graphs.items()}
    _replace_forward(decoder.unet, OnnxStep(decoder.unet, sessions["unet"]))
    _replace_forward(decoder.vae, OnnxModule("latent", sessions["vae"]))
    vocoder = (
        OnnxVocoder(sessions["pitch"], sessions["vocoder"])
        if "pitch" in sessions
        else OnnxModule("mel", sessions["vocoder"])
    )
    _replace_forward(decoder.vocoder, vocoder)


def _replace_forward(module: nn.Module, forward: Callable[..., Tensor]) -> None:
    # On the instance: its weights, their names and its other methods stay what they are.
    module.forward = forward

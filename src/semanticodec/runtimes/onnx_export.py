"""A folder of ONNX files, described by `export.json`.

    unet.onnx, vae.onnx, vocoder.onnx     the modules after the quantizers
    pitch.onnx                            of vocoders with a harmonic source, before the vocoder

    export_decoder(codec, folder)    writes it
    check_export(folder, codec)      runs it in onnxruntime beside the codec

All float32. Batch and time may have any size; a window is 256 frames of the latent (10.24 s).
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from semanticodec import __version__
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.files import read_json, write_bytes, write_json
from semanticodec.progress import ProgressBar
from semanticodec.runtimes.onnx_graphs import Graph, decoder_graphs, example
from semanticodec.runtimes.onnx_session import open_session, require, run_session

if TYPE_CHECKING:
    from semanticodec import SemantiCodec

FORMAT = 1
OPSET = 17
INDEX_NAME = "export.json"
# Sizes that a check tries: items, and parts of a window.
CHECKED_SIZES = ((1, 1), (2, 4))


def export_decoder(
    codec: SemantiCodec, folder: str | os.PathLike[str], *, show_progress: bool = False
) -> Path:
    """Write the modules after the quantizers as ONNX graphs, each file whole or not at all.

    Args:
        codec: codec on the CPU, in float32.
        folder: output folder, created if missing; its files are overwritten.
        show_progress: whether to show progress on stderr, to those who watch.
    Raises:
        ConfigError: a codec elsewhere or in another precision.
        MissingDependencyError: without the package onnx.
    """
    graphs = _graphs(codec)
    target = Path(folder)
    (target / INDEX_NAME).unlink(missing_ok=True)  # it would describe files that are being replaced
    files = {}
    for name, graph in ProgressBar(graphs.items(), unit="graph", shown=show_progress):
        write_bytes(target / f"{name}.onnx", graph_bytes(graph))
        files[name] = {
            "file": f"{name}.onnx",
            "inputs": {key: _axes(graph, key, tensor) for key, tensor in graph.inputs.items()},
            "output": graph.output,
        }
    index = {
        "format": FORMAT,
        "opset": OPSET,
        "semanticodec": __version__,
        "torch": torch.__version__,
        # What the diffusion's latents are divided by on their way to the VAE.
        "latent_scale": float(codec.decoder.latent_scale),
        "weights": weights_digest(codec.decoder),
        "graphs": files,
    }
    write_json(target / INDEX_NAME, index)
    return target


def check_export(folder: str | os.PathLike[str], codec: SemantiCodec) -> dict[str, float]:
    """Return the largest difference of every graph in onnxruntime from torch.

    Differences are relative to the largest absolute value; one and two windows are tried, whole
    ones and quarters.

    Args:
        folder: folder that `export_decoder` wrote.
        codec: codec that was exported.
    Raises:
        CheckpointError: the folder holds no export of this codec.
        MissingDependencyError: without onnxruntime.
    """
    require("onnxruntime", "running ONNX graphs")
    read_index(folder, codec)
    return {
        name: _largest_error(graph, Path(folder) / f"{name}.onnx")
        for name, graph in _graphs(codec).items()
    }


def read_index(folder: str | os.PathLike[str], codec: SemantiCodec) -> dict[str, Any]:
    """Return the content of a folder's `export.json` after checking that it fits the codec.

    Raises:
        CheckpointError: no export, of another version, or of other weights.
    """
    path = Path(folder) / INDEX_NAME
    try:
        index = read_json(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder} has no readable {INDEX_NAME} ({error}); "
            f"write the folder with `semanticodec export -o {folder}`"
        ) from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not of format {FORMAT}; export the model again")
    if index.get("weights") != weights_digest(codec.decoder):
        raise CheckpointError(f"{folder} was exported from another model; export this one")
    return index


def weights_digest(module: nn.Module) -> str:
    """Return a digest of all weights of a module."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def check_exportable(codec: SemantiCodec) -> None:
    """Do nothing where ONNX graphs can be made of the codec.

    Raises:
        ConfigError: it is not on the CPU in float32, or no longer computed by torch.
        MissingDependencyError: without the package onnx.
    """
    require("onnx", "making ONNX graphs")
    dtypes = {parameter.dtype for parameter in codec.decoder.parameters()}
    if codec.device.type != "cpu" or dtypes != {torch.float32}:
        raise ConfigError(
            f"ONNX graphs are made of a codec on the CPU in float32, not on {codec.device} in "
            f"{', '.join(sorted(str(dtype).removeprefix('torch.') for dtype in dtypes))}"
        )
    if "forward" in vars(codec.decoder.unet):
        raise ConfigError("this codec runs in onnxruntime already; load it once more to export it")


def graph_bytes(graph: Graph) -> bytes:
    """Return a module as an ONNX file."""
    file = io.BytesIO()
    with torch.no_grad(), torch.inference_mode(False), warnings.catch_warnings():
        # The exporter that is not deprecated takes ten times as long and a package more. What this
        # one says about traced checks does not matter: they hold for all sizes of the axes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            file,  # pyright: ignore[reportArgumentType] - the exporter writes to files too
            input_names=list(graph.inputs),
            output_names=[graph.output],
            dynamic_axes=graph.dynamic_axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return file.getvalue()


def _graphs(codec: SemantiCodec) -> dict[str, Graph]:
    """Return the modules by the names of their files."""
    check_exportable(codec)
    return decoder_graphs(codec.decoder, codec.format.positions_per_window)


def _axes(graph: Graph, name: str, tensor: Tensor) -> list[int | str]:
    dynamic = graph.dynamic_axes[name]
    return [dynamic.get(axis, size) for axis, size in enumerate(tensor.shape)]


def _largest_error(graph: Graph, path: Path) -> float:
    session = open_session(path)
    errors = []
    for batch_size, num_parts in CHECKED_SIZES:
        inputs = example(graph, batch_size, num_parts)
        with torch.inference_mode():
            expected = graph.module(*inputs)
        given = run_session(session, dict(zip(graph.inputs, inputs, strict=True)))
        errors.append(float((given - expected).abs().max() / expected.abs().max()))
    return max(errors)

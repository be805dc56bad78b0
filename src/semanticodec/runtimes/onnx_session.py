"""Running ONNX graphs in onnxruntime on the CPU, with tensors in and out."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.errors import CheckpointError, MissingDependencyError


def require(package: str, task: str) -> None:
    """Do nothing where a package of the extra is installed.

    Raises:
        MissingDependencyError: it is not.
    """
    if find_spec(package) is None:
        raise MissingDependencyError(f"{task} needs {package}: pip install 'semanticodec[onnx]'")


def open_session(graph: Path | bytes) -> Any:
    """Return an inference session of a file or its content, with as many threads as torch has.

    Raises:
        CheckpointError: the file is missing or damaged.
        MissingDependencyError: without onnxruntime.
    """
    require("onnxruntime", "running ONNX graphs")
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        InvalidGraph,
        InvalidProtobuf,
        NoSuchFile,
    )

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    source = str(graph) if isinstance(graph, Path) else graph
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except (InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
        raise CheckpointError(f"{error}; export the model again") from error


def run_session(session: Any, inputs: Mapping[str, Tensor]) -> Float[Tensor, " ..."]:
    """Return the only output of a session."""
    feed = {name: tensor.detach().contiguous().numpy() for name, tensor in inputs.items()}
    return torch.from_numpy(session.run(None, feed)[0])

"""Run folders on disk: checkpoints for exact resume, and what an export says of its run.

    RUN/checkpoints/latest.json                 {"folder": "step_00001000"}, replaced atomically
    RUN/checkpoints/step_00001000/weights.safetensors    stage.state_dict()
                                  averages.safetensors   moving averages by parameter name
                                  optimizer.safetensors  group/parameter/slot
                                  state.json             step, seed, configuration, versions
    RUN/export/config.json, model.safetensors   the trained module, see `trained_module`

Nothing is ever pickled.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from semanticodec.checkpoints.pretrained import write_weights
from semanticodec.errors import CheckpointError, ConfigError, OutputError
from semanticodec.files import atomic_folder, write_json

KEPT_CHECKPOINTS = 2
PARTS = ("weights", "averages", "optimizer")
POINTER = "latest.json"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything that a run needs to go on: tensors by name and a JSON description."""

    step: int
    weights: Mapping[str, Tensor]
    averages: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    description: Mapping[str, Any]


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses tensors that share memory (tied weights): each gets its own copy.
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _sync_file(path: Path) -> None:
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def make_run_folder(folder: Path) -> None:
    """Make the folder of a run, before any work is done for it.

    Raises:
        ConfigError: Nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be the folder of a run ({error.strerror}); choose another --output."
        ) from error


def save_snapshot(folder: Path, snapshot: Snapshot) -> Path:
    """Write a checkpoint into `folder`, point to it, and remove all but the newest two.

    Returns:
        The checkpoint's own folder.
    Raises:
        OutputError: It cannot be written; the checkpoints before it are as they were.
    """
    final = folder / f"step_{snapshot.step:08d}"
    try:
        with atomic_folder(final) as partial:
            for part in PARTS:
                path = partial / f"{part}.safetensors"
                save_file(_contiguous(getattr(snapshot, part)), path)
                _sync_file(path)
            write_json(partial / "state.json", {"step": snapshot.step, **snapshot.description})
            _sync_file(partial / "state.json")
        write_json(folder / POINTER, {"folder": final.name})
        for old in sorted(folder.glob("step_*"))[:-KEPT_CHECKPOINTS]:
            if old.name != final.name:
                shutil.rmtree(old)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"The checkpoint of step {snapshot.step} cannot be written to {folder} ({error}). "
            "Free some space; the same command resumes from the checkpoint before it."
        ) from error
    return final


def load_snapshot(folder: Path) -> Snapshot | None:
    """Read the newest checkpoint of `folder`; None when there is none.

    Raises:
        CheckpointError: The checkpoint is damaged or incomplete.
    """
    if not (folder / POINTER).is_file():
        return None
    try:
        pointer = json.loads((folder / POINTER).read_text(encoding="utf-8"))
        checkpoint = folder / pointer["folder"]
        description = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        tensors = {part: load_file(checkpoint / f"{part}.safetensors") for part in PARTS}
        return Snapshot(step=int(description.pop("step")), description=description, **tensors)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"The checkpoint in {folder} cannot be read ({error}). Point {POINTER} at another "
            "step_ folder there, or start again with another output folder."
        ) from error


def optimizer_tensors(
    optimizers: Mapping[str, torch.optim.Optimizer], names: Mapping[Tensor, str]
) -> dict[str, Tensor]:
    """Flatten optimizer state to `group/parameter name/slot`."""
    return {
        f"{group}/{names[parameter]}/{slot}": value
        for group, optimizer in optimizers.items()
        for parameter, slots in optimizer.state.items()
        for slot, value in slots.items()
        if isinstance(value, Tensor)
    }


def restore_optimizers(
    tensors: Mapping[str, Tensor],
    optimizers: Mapping[str, torch.optim.Optimizer],
    names: Mapping[Tensor, str],
) -> None:
    """Put the state of `optimizer_tensors` back.

    Raises:
        CheckpointError: The saved state is of other parameters.
    """
    slots_of: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, value in tensors.items():
        group, _, rest = key.partition("/")
        name, _, slot = rest.rpartition("/")
        slots_of.setdefault((group, name), {})[slot] = value
    for group, optimizer in optimizers.items():
        for settings in optimizer.param_groups:
            for parameter in settings["params"]:
                slots = slots_of.pop((group, names[parameter]), {})
                # Also the step counter: fused AdamW keeps it beside the parameter.
                optimizer.state[parameter] = {
                    slot: value.to(parameter.device).clone() for slot, value in slots.items()
                }
                if not slots:
                    del optimizer.state[parameter]
    if slots_of:
        group, name = next(iter(slots_of))
        raise CheckpointError(
            f"The checkpoint holds optimizer state of {group}/{name}, which this recipe does not "
            "train. Resume with the recipe that the run was started with."
        )


def finish_export(folder: Path, training: Mapping[str, Any], *, half: bool) -> None:
    """Add the training record to every config.json below `folder`; halve floats on request."""
    for path in sorted(folder.rglob("config.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        write_json(path, {**content, "training": dict(training)})
    if not half:
        return
    for path in sorted(folder.rglob("*.safetensors")):
        write_weights(path, load_file(path), torch.float16)

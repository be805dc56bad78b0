"""Exports of single modules come back whole, also those of earlier versions, and only as asked."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from little_memory import ROOM, little_memory
from semanticodec.checkpoints.trained_module import (
    export_module,
    load_audiomae,
    load_codebooks,
    load_vae,
    load_vocoder,
    module_digest,
    read_module,
    restore_module,
)
from semanticodec.config import config_to_dict
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.vocos import Vocos
from semanticodec.errors import CheckpointError
from semanticodec.training.state import finish_export
from tiny_modules import export_audiomae, export_codebook, export_vae, export_vocoder


def test_export_round_trip_and_half(tmp_path):
    weights = {"w": torch.rand(3, 3), "count": torch.tensor([1, 2])}
    export_module(tmp_path / "vae", name="vae", config={"sizes": (1, 2)}, weights=weights)
    finish_export(tmp_path, {"steps_done": 3}, half=False)
    config, loaded = read_module(tmp_path / "vae", "vae")
    assert config == {"sizes": [1, 2]}
    assert torch.equal(loaded["w"], weights["w"])
    assert loaded["count"].dtype == torch.int64
    content = json.loads((tmp_path / "vae" / "config.json").read_text())
    assert content["training"] == {"steps_done": 3}
    size = (tmp_path / "vae" / "model.safetensors").stat().st_size
    finish_export(tmp_path, {}, half=True)
    assert (tmp_path / "vae" / "model.safetensors").stat().st_size < size
    halved = read_module(tmp_path / "vae" / "model.safetensors", "vae")[1]["w"]
    assert halved.dtype == torch.float32
    assert torch.equal(halved, weights["w"].half().float())


def test_wrong_exports_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="semanticodec train vae"):
        read_module(tmp_path, "vae")
    export_module(tmp_path, name="vocoder", config={}, weights={"w": torch.ones(1)})
    with pytest.raises(CheckpointError, match="'vocoder', not 'vae'"):
        read_module(tmp_path, "vae")


def as_before(folder, box, **more):
    """Rewrite config.json as version 0.1 did."""
    path = folder / "config.json"
    config = json.loads(path.read_text())["config"]
    config.pop("class", None)
    path.write_text(json.dumps({"box": box, "config": config, **more}))
    return folder


def test_exports_of_version_0_1_still_load(tmp_path):
    vae = as_before(export_vae(tmp_path / "vae"), "vae", latent_scale=0.9, training={"steps": 1})
    assert load_vae(vae).config.base_channels == 8
    assert load_audiomae(as_before(export_audiomae(tmp_path / "a"), "audiomae")).config.width == 16
    vocos = load_vocoder(as_before(export_vocoder(tmp_path / "vocos"), "vocos"))
    assert vocos.config == Vocos.Config(width=16, hidden=16, num_layers=1)
    restore_module(Vocos(vocos.config), tmp_path / "vocos", "vocoder")
    config = HiFiGAN.Config(initial_channels=32, residual_kernels=(3,))
    weights = HiFiGAN(config).state_dict()
    export_module(
        tmp_path / "hifigan", name="vocoder", config=config_to_dict(config), weights=weights
    )
    assert load_vocoder(as_before(tmp_path / "hifigan", "hifigan")).config == config
    codebook = as_before(export_codebook(tmp_path / "codebook"), "codebook")
    assert read_module(codebook, "codebook")[0]["vocab_sizes"] == [8, 16]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"module": "vae"}', '{"module": "vae", "config": 1}']
)
def test_a_damaged_description_is_a_readable_error(tmp_path: Path, content):
    (export_vae(tmp_path) / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"not an exported module .*semanticodec train vae"):
        load_vae(tmp_path)


def test_weights_shared_by_two_names_are_stored_for_both(tmp_path: Path):
    tied = torch.rand(3)
    export_module(tmp_path, name="vae", config={}, weights={"a": tied, "b": tied})
    _, weights = read_module(tmp_path, "vae")
    assert torch.equal(weights["a"], tied) and torch.equal(weights["b"], tied)


def test_a_digest_is_that_of_the_weights_alone(tmp_path: Path):
    folder = export_vae(tmp_path)
    digest = module_digest(folder)
    finish_export(folder, {"steps": 1}, half=False)
    assert module_digest(folder / "model.safetensors") == digest
    finish_export(folder, {}, half=True)
    assert module_digest(folder) != digest


def test_a_module_of_another_class_or_size_is_not_restored(tmp_path: Path):
    folder = export_vocoder(tmp_path)
    with pytest.raises(CheckpointError, match=r"of the class 'vocos', not 'hifigan'"):
        restore_module(HiFiGAN(HiFiGAN.Config(initial_channels=32)), folder, "vocoder")
    with pytest.raises(CheckpointError, match="in other sizes than the recipe's"):
        restore_module(Vocos(Vocos.Config(width=8, hidden=8, num_layers=1)), folder, "vocoder")


# --- exports of strangers ---


def edit_weights(folder, **changes):
    path = folder / "model.safetensors"
    save_file({**load_file(path), **changes}, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value):
    folder = export_vocoder(tmp_path)
    key, weights = next(iter(load_vocoder(folder).state_dict().items()))
    edit_weights(folder, **{key: torch.full_like(weights, value)})
    vocoder = Vocos(Vocos.Config(width=16, hidden=16, num_layers=1))
    for load in (load_vocoder, lambda path: restore_module(vocoder, path, "vocoder")):
        with pytest.raises(CheckpointError, match=f"NaN or infinite weights in {key}"):
            load(folder)
    codebook = export_codebook(tmp_path / "codebook")
    edit_weights(codebook, codebook_8=torch.full((8, 16), value))
    with pytest.raises(CheckpointError, match="NaN or infinite weights in codebook_8"):
        load_codebooks(codebook, width=16, stack_factor=1)


def test_weights_of_another_type_name_or_shape_are_refused(tmp_path: Path):
    folder = export_vocoder(tmp_path)
    key, weights = next(iter(load_vocoder(folder).state_dict().items()))
    edit_weights(folder, **{key: torch.ones(weights.shape, dtype=torch.int32)})
    with pytest.raises(CheckpointError, match=rf"wrong type of 1 tensors, first {key}"):
        load_vocoder(folder)
    edit_weights(folder, **{key: weights, "extra": torch.ones(1)})
    with pytest.raises(CheckpointError, match="unknown 1 tensors, first extra"):
        load_vocoder(folder)
    codebook = export_codebook(tmp_path / "codebook")
    for key in ("codebook_x", "codebook_9", "other"):
        edit_weights(codebook, **{key: torch.ones(8, 16)})
        with pytest.raises(CheckpointError, match=rf"has {key} of shape \[8, 16\] among"):
            load_codebooks(codebook, width=16, stack_factor=1)
        export_codebook(codebook)


@pytest.mark.parametrize(
    ("load", "export", "change"),
    [
        (load_vae, export_vae, {"base_channels": 2**40}),
        (load_vae, export_vae, {"num_res_blocks": 2**40}),
        (load_vae, export_vae, {"num_groups": 0}),
        (load_audiomae, export_audiomae, {"depth": 2**40}),
        (load_audiomae, export_audiomae, {"num_heads": 0}),
        (load_vocoder, export_vocoder, {"hidden": 2**40}),
        (load_vocoder, export_vocoder, {"class": "os.system"}),
    ],
)
def test_hostile_configurations_are_refused(tmp_path: Path, load, export, change):
    path = export(tmp_path) / "config.json"
    content = json.loads(path.read_text())
    content["config"].update(change)
    path.write_text(json.dumps(content))
    with little_memory(), pytest.raises(CheckpointError, match="do not fit together"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, "\0", "{}" + " " * (1 << 24)])
def test_hostile_descriptions_are_refused(tmp_path: Path, text):
    (export_vae(tmp_path) / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="not an exported module"):
        load_vae(tmp_path)


def test_a_large_file_of_other_tensors_is_not_read(tmp_path: Path):
    size = ROOM // 8  # of float16: mapped twice it fits, as float32 it does not
    tensors = {
        f"extra.{at}": {
            "dtype": "F16",
            "shape": [size // 2],
            "data_offsets": [at * size, (at + 1) * size],
        }
        for at in range(3)
    }
    head = json.dumps(tensors).encode()
    with (export_vae(tmp_path) / "model.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + 3 * size)
    with little_memory(), pytest.raises(CheckpointError, match="do not fit together"):
        load_vae(tmp_path)

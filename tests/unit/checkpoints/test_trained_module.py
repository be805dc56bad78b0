"""Exports of single modules come back whole, also those of earlier versions, and only as asked."""

import json
from pathlib import Path

import pytest
import torch

from semanticodec.checkpoints.trained_module import (
    export_module,
    load_audiomae,
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

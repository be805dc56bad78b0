"""Exported modules: they compute what torch computes, at any size; decoding by them; errors."""

import contextlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conftest import random_codec, shapes_left_unchecked
from semanticodec import SemantiCodec
from semanticodec.checkpoints.pretrained import choose_vocabulary
from semanticodec.cli import main
from semanticodec.config import tiny
from semanticodec.decoder.harmonic_vocos import HarmonicVocos
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.pitch import PitchEstimator
from semanticodec.decoder.vocos import Vocos
from semanticodec.errors import CheckpointError, ConfigError, MissingDependencyError
from semanticodec.runtimes import use_runtime
from semanticodec.runtimes.onnx_export import check_export, export_decoder
from semanticodec.runtimes.onnx_graphs import PitchGraph, RealHarmonicVocos, RealVocos

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def command(tmp_path_factory, tiny_folder):
    """A command that exports the tiny codec."""
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    folder = tmp_path_factory.mktemp("exported") / "out"
    return ["export", "--model", str(tiny_folder), "-o", str(folder)]


@pytest.fixture(scope="module")
def report(command):
    """What the command says when it checks, line by line."""
    with contextlib.redirect_stdout(io.StringIO()) as output, shapes_left_unchecked():
        assert main([*command, "--check"]) == 0
    return output.getvalue().splitlines()


@pytest.fixture(scope="module")
def exported(command, report):
    """What the command wrote."""
    return Path(command[-1])


def aligned_codec():
    """Return a tiny codec at 25 tokens per second with all that is not official, and HiFi-GAN."""
    config = choose_vocabulary(tiny(25), None)
    decoder = config.decoder
    unet = replace(
        decoder.unet,
        channel_multipliers=(1, 2),
        attention_levels=(1,),
        frequency_positions=True,
        aligned_condition=True,
        aligned_grid=(32, 4),
        aligned_cells=True,
    )
    vocoder = HiFiGAN.Config(initial_channels=32, residual_kernels=(3,), residual_dilations=(1,))
    vae = replace(decoder.vae, patch_shortcut=True)
    torch.manual_seed(0)
    codec = SemantiCodec(
        replace(config, decoder=replace(decoder, unet=unet, vae=vae, vocoder=vocoder))
    )
    with torch.no_grad():
        for parameter in codec.decoder.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape))
    return codec


def test_vocos_without_complex_numbers_is_vocos():
    vocos = Vocos(Vocos.Config(width=16, hidden=16, num_layers=1))
    mel = torch.randn(2, 50, 64)
    assert torch.allclose(RealVocos(vocos)(mel), vocos(mel), atol=1e-5)


def harmonic_vocos():
    torch.manual_seed(0)
    pitch = PitchEstimator.Config(width=8, hidden=8, num_layers=1)
    vocos = HarmonicVocos(HarmonicVocos.Config(width=16, hidden=16, num_layers=1, pitch=pitch))
    torch.nn.init.constant_(vocos.pitch.logits.bias[-1:], 9.0)  # all voiced
    return vocos.eval()


@torch.no_grad()
def test_pulses_without_complex_numbers_are_the_same():
    vocos, mel = harmonic_vocos(), torch.randn(2, 50, 64) - 5
    theirs, ours = vocos(mel), RealHarmonicVocos(vocos)(mel, PitchGraph(vocos)(mel))
    # Where a line of the pulses nearly vanishes, its phase is that of rounding errors.
    assert (ours - theirs).square().mean() < 1e-4 * theirs.square().mean()


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_harmonic_source_has_a_graph_for_its_pitch_and_both_agree_with_torch(tmp_path):
    pytest.importorskip("onnxruntime")
    config = choose_vocabulary(tiny(100), None)
    decoder = replace(config.decoder, vocoder=harmonic_vocos().config)
    torch.manual_seed(0)
    codec = SemantiCodec(replace(config, decoder=decoder))
    with torch.no_grad():
        for parameter in codec.decoder.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape))
        # All voiced, and not steady: between the harmonics of a steady pitch there is nothing,
        # whose phase is that of rounding errors.
        codec.decoder.vocoder.pitch.logits.weight *= 30.0
        codec.decoder.vocoder.pitch.logits.bias[-1] = 99.0
    errors = check_export(export_decoder(codec, tmp_path), codec)
    assert set(errors) == {"unet", "vae", "pitch", "vocoder"}
    assert max(errors.values()) < TOLERANCE
    mel = torch.randn(1, 300, 64) - 5
    expected = codec.decoder.vocoder(mel)
    use_runtime(codec, "onnx")
    wav = codec.decoder.vocoder(mel)
    assert wav.shape == expected.shape
    # Two runtimes find pitches that differ by rounding; phases sum them up.
    assert (wav - expected).square().mean() < 1e-2 * expected.square().mean()


def test_command_writes_and_checks_every_graph(report, exported):
    assert report[0].startswith(f"{exported}: 100 tokens/s, ")
    errors = dict(
        re.fullmatch(r"(\w+)\.onnx: largest difference from torch (\S+) of .*", line).groups()
        for line in report[1:]
    )
    assert set(errors) == {"unet", "vae", "vocoder"}
    assert max(map(float, errors.values())) < TOLERANCE


def test_command_keeps_an_export_that_is_there(command, exported, capsys):
    assert main(command) == 2
    assert "holds an export already; choose another name or --overwrite" in capsys.readouterr().err


@pytest.mark.usefixtures("unchecked_shapes")
def test_graphs_of_other_options_agree_with_torch(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    codec = aligned_codec()
    errors = check_export(export_decoder(codec, tmp_path), codec)
    assert max(errors.values()) < TOLERANCE, errors


def test_index_names_every_input_and_its_free_axes(exported):
    index = json.loads((exported / "export.json").read_text())
    assert index["graphs"]["vae"]["inputs"] == {"latent": ["batch", 8, "frames", 16]}
    inputs = index["graphs"]["unet"]["inputs"]
    assert inputs["latent"] == ["batch", 8, "frames", 16] and inputs["timestep"] == ["batch"]
    assert inputs["keys_0"][2] == inputs["values_0"][2] == "positions"
    names = {graph["file"] for graph in index["graphs"].values()} | {"export.json"}
    assert {path.name for path in exported.iterdir()} == names


def test_an_export_of_other_weights_is_refused(exported):
    with pytest.raises(CheckpointError, match=r"exported from another model; export this one"):
        check_export(exported, random_codec(50))


def test_a_folder_without_an_export_is_named(tmp_path, tiny_codec):
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    with pytest.raises(CheckpointError, match=r"no readable export\.json .*semanticodec export"):
        check_export(tmp_path, tiny_codec)


def test_other_precisions_are_refused(tmp_path, tiny_folder):
    pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    codec = SemantiCodec.from_pretrained(tiny_folder, dtype=torch.bfloat16)
    with pytest.raises(ConfigError, match=r"on the CPU in float32, not on cpu in bfloat16"):
        export_decoder(codec, tmp_path)


@pytest.mark.slow  # the command is tested with it, in test_cli.py
@pytest.mark.usefixtures("unchecked_shapes")
def test_steps_in_onnxruntime_give_the_same_sound(tiny_codec, tiny_folder):
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    codec = SemantiCodec.from_pretrained(tiny_folder)
    use_runtime(codec, "onnx")
    codes = codec.encode(0.1 * torch.randn(30_000))
    for settings in ({}, {"num_steps": 2, "guidance_scale": 2.0}):
        expected = tiny_codec.decode(codes, **settings)
        error = (codec.decode(codes, **settings) - expected).abs().max()
        assert expected.abs().max() > 0 and error < TOLERANCE * expected.abs().max()
    assert codec.state_dict().keys() == tiny_codec.state_dict().keys()
    with pytest.raises(ConfigError, match="runs in onnxruntime already; load it once more"):
        use_runtime(codec, "onnx")


def test_missing_packages_are_named(monkeypatch, tiny_codec, tmp_path):
    monkeypatch.setattr("semanticodec.runtimes.onnx_session.find_spec", lambda package: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'semanticodec\[onnx\]'"):
        export_decoder(tiny_codec, tmp_path)
    with pytest.raises(MissingDependencyError, match=r"needs onnxruntime: pip install"):
        use_runtime(tiny_codec, "onnx")
    assert not list(tmp_path.iterdir())

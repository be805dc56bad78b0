"""A vocoder and a quantizer added as docs/adding_a_module.md says work in a trained codec."""

from __future__ import annotations

import json

import pytest
import torch
from snippets import run, snippets

from semanticodec.cli import main
from semanticodec.decoder import vocoders
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.vocos import Vocos
from semanticodec.encoder import quantizers
from semanticodec.recipes import codec as codec_recipes
from semanticodec.recipes import vocoder as recipes
from tiny_modules import (
    export_audiomae,
    export_codebook,
    export_vae,
    export_vocoder,
    write_audio,
)

DOCUMENT = "docs/adding_a_module.md"


def python_snippets():
    return [snippet for snippet in snippets(DOCUMENT) if snippet.language == "python"]


@pytest.fixture
def linear(monkeypatch):
    """Do the three edits of the document; returns the new class."""
    own_file, table_line, recipe, *_ = python_snippets()
    namespace = {"__name__": __name__}
    run(own_file, DOCUMENT, namespace)
    kind = namespace["Linear"]
    table = {**vars(vocoders), "Linear": kind}
    run(table_line, DOCUMENT, table)
    assert {"hifigan": HiFiGAN, "vocos": Vocos}.items() < table["VOCODERS"].items()
    monkeypatch.setitem(vocoders.VOCODERS, "linear", table["VOCODERS"]["linear"])
    own_recipe = {**vars(recipes), "Linear": kind}
    run(recipe, DOCUMENT, own_recipe)
    monkeypatch.setitem(recipes.RECIPES, "tiny_linear", own_recipe["tiny_linear"])
    return kind


def test_a_documented_vocoder_needs_its_file_one_line_and_a_recipe(linear, tmp_path, capsys):
    data = write_audio(tmp_path / "data", seconds=(1.0,))
    trained = tmp_path / "linear"
    words = ["train", "vocoder", "--recipe", "tiny_linear", "--data", str(data)]
    assert main([*words, "--output", str(trained)]) == 0
    assert f"--module vocoder={trained / 'export'}" in capsys.readouterr().out
    description = json.loads((trained / "export" / "config.json").read_text())
    assert description["config"] == {"class": "linear", "num_mel_bins": 64}

    modules = {
        "audiomae": export_audiomae(tmp_path / "audiomae"),
        "vae": export_vae(tmp_path / "vae"),
        "codebook": export_codebook(tmp_path / "codebook"),
        "vocoder": trained / "export",
    }
    recipe = codec_recipes.tiny()
    recipe.stage.build(recipe.stage_config, modules).export(tmp_path / "model")

    from semanticodec import SemantiCodec

    codec = SemantiCodec.from_pretrained(tmp_path / "model")
    assert type(codec.decoder.vocoder) is linear
    codes = codec.encode(0.1 * torch.randn(16_000), sample_rate=16_000)
    assert codec.decode(codes, num_steps=1).shape == (1, 1, 16_000)


@pytest.fixture
def sign(monkeypatch):
    """Do the three edits of the document's second part; returns the new class."""
    *_, own_file, table_line, recipe = python_snippets()
    namespace = {"__name__": __name__}
    run(own_file, DOCUMENT, namespace)
    kind = namespace["SignQuantizer"]
    table = {**vars(quantizers), "SignQuantizer": kind}
    run(table_line, DOCUMENT, table)
    assert quantizers.QUANTIZERS.items() < table["QUANTIZERS"].items()
    monkeypatch.setitem(quantizers.QUANTIZERS, "sign", table["QUANTIZERS"]["sign"])
    own_recipe = {**vars(codec_recipes), "SignQuantizer": kind}
    run(recipe, DOCUMENT, own_recipe)
    monkeypatch.setitem(codec_recipes.RECIPES, "tiny_sign", own_recipe["tiny_sign"])
    return kind


def test_a_documented_quantizer_needs_its_file_one_line_and_a_recipe(sign, tmp_path):
    from semanticodec import Codes, SemantiCodec

    data = write_audio(tmp_path / "data", seconds=(1.0,))
    makers = (export_audiomae, export_codebook, export_vae, export_vocoder)
    names = [make.__name__.removeprefix("export_") for make in makers]
    modules = [f"--module={name}={make(tmp_path / name)}" for name, make in zip(names, makers)]
    words = ["train", "codec", "--recipe", "tiny_sign", "--data", str(data), "--steps", "1"]
    assert main([*words, "--quiet", "--output", str(tmp_path / "run"), *modules]) == 0

    codec = SemantiCodec.from_pretrained(tmp_path / "run" / "export")
    assert type(codec.encoder.quantizer) is sign and codec.acoustic_vocab_size == 32
    codes = codec.encode(0.1 * torch.randn(16_000), sample_rate=16_000)
    codes.save(tmp_path / "a.smtc")
    assert codec.decode(Codes.load(tmp_path / "a.smtc"), num_steps=1).shape == (1, 1, 16_000)

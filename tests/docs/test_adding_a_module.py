"""A vocoder added as docs/adding_a_module.md says is trained, exported and decodes in a codec."""

from __future__ import annotations

import json

import pytest
import torch
from snippets import run, snippets

from semanticodec.cli import main
from semanticodec.decoder import vocoders
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.vocos import Vocos
from semanticodec.recipes import codec as codec_recipes
from semanticodec.recipes import vocoder as recipes
from tiny_modules import export_audiomae, export_codebook, export_vae, write_audio

DOCUMENT = "docs/adding_a_module.md"


@pytest.fixture
def linear(monkeypatch):
    """Do the three edits of the document; returns the new class."""
    own_file, table_line, recipe = (
        snippet for snippet in snippets(DOCUMENT) if snippet.language == "python"
    )
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

"""Variants as systems of the evaluation, failures without anybody's folders, sweeps of a model."""

from pathlib import Path

import pytest
import torch

from experiments.ablations.sweeps import guidance_steps, vocabulary
from experiments.ablations.variant import Failure, Variant
from semanticodec import SemantiCodec
from semanticodec.checkpoints.pretrained import write_model
from semanticodec.config import tiny
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.evaluation.systems import parse_spec


def test_a_variant_is_a_model_with_options_and_its_label():
    variant = Variant(
        label="guidance 2 in 4 steps",
        settings={},
        model=Path("runs/a"),
        options={"guidance": "2", "steps": 4},
    )
    spec = parse_spec(variant.spec)
    assert (spec.kind, spec.options["path"], spec.label) == (
        "model",
        "runs/a",
        "guidance 2 in 4 steps",
    )
    assert spec.options["steps"] == "4"
    assert parse_spec(Variant(label="x", settings={}, model=None).spec).options.keys() == {"name"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/home/me/runs/a holds a run of 50 tokens/s", "a holds a run of 50 tokens/s"),
        ("[Errno 2] No such file: '/data/x/y.wav'", "[Errno 2] No such file: 'y.wav'"),
        ("two\nlines", "two lines"),
        ("general/1 is short; 1/2", "general/1 is short; 1/2"),
        ("", "OSError"),
    ],
)
def test_failures_name_no_folders(text, kept):
    assert Failure.of("row", OSError(text)).error == kept


def test_a_grid_has_every_pair_once():
    outcome = guidance_steps(None, guidances=(1.0, 2.5, 1.0), steps=(4, 10))
    assert [variant.settings for variant in outcome.variants] == [
        {"guidance": 1.0, "steps": 4},
        {"guidance": 1.0, "steps": 10},
        {"guidance": 2.5, "steps": 4},
        {"guidance": 2.5, "steps": 10},
    ]
    assert len({variant.label for variant in outcome.variants}) == 4
    [variant] = guidance_steps(None, token_rate=50, guidances=(1.0,), steps=(4,)).variants
    assert parse_spec(variant.spec).options["rate"] == "50"


def test_vocabularies_are_those_of_the_model(tmp_path):
    config = tiny(50)
    state = {"encoder.weight": torch.zeros(1)}
    write_model(tmp_path, config, state)
    outcome = vocabulary(str(tmp_path))
    assert [variant.settings for variant in outcome.variants] == [
        {"rate": 50, "vocab": 64},
        {"rate": 50, "vocab": 128},
    ]
    with pytest.raises(ConfigError, match="25 tokens per second"):
        vocabulary(str(tmp_path), token_rate=25)
    with pytest.raises(CheckpointError, match="is no model folder"):
        vocabulary(str(tmp_path / "missing"))


def test_the_built_in_model_has_vocabularies_to_compare():
    outcome = vocabulary(None)
    for rate in (100, 50, 25):
        rows = [variant.settings for variant in outcome.variants]
        sizes = [settings["vocab"] for settings in rows if settings["rate"] == rate]
        assert sizes == sorted(sizes) and len(sizes) > 1
        model = SemantiCodec.from_pretrained(token_rate=rate)
        assert model.semantic_vocab_size == sizes[-1]

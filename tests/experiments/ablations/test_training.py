"""What variants are trained with: the right modules, one process, codebooks of the right rate."""

import json
from pathlib import Path

import pytest

from experiments.ablations.recipes import base
from experiments.ablations.training import Training
from semanticodec.errors import CheckpointError, ConfigError
from tiny_modules import export_audiomae, export_codebook, export_vae, export_vocoder


@pytest.fixture
def modules(tmp_path):
    makers = (export_audiomae, export_vae, export_vocoder)
    return {
        make.__name__.removeprefix("export_"): make(tmp_path / make.__name__) for make in makers
    }


def training(modules, **changes):
    settings = {"out": Path("out"), "data": (Path("/a/data"),), "size": "tiny", **changes}
    return Training(modules=modules, **settings)


def test_another_size_module_or_process_is_refused(modules, monkeypatch):
    with pytest.raises(ConfigError, match="no recipe 'huge' for ablations; choose one of tiny,"):
        training(modules, size="huge")
    with pytest.raises(ConfigError, match=r"missing: audiomae, vae, vocoder, unknown: speaker"):
        training({"speaker": Path("x")})
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="start without torchrun"):
        training(modules)


def test_a_given_codebook_serves_its_own_rate(modules, tmp_path):
    assert training(modules).given_rate() is None
    codebook = export_codebook(tmp_path / "codebook", stack_factor=2)
    given = training({**modules, "codebook": codebook})
    assert given.given_rate() == 50
    assert given.codebook(50) == codebook
    with pytest.raises(CheckpointError, match="holds the module 'vae', not 'codebook'"):
        training({**modules, "codebook": modules["vae"]}).given_rate()


def test_the_description_names_weights_and_no_folders(modules):
    described = training(modules).describe()
    assert described["data"] == ["data"] and set(described["modules"]) == set(modules)
    assert len(set(described["modules"].values())) == 3
    assert "/" not in json.dumps(described)
    (modules["vae"] / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"holds no model.safetensors; give the export"):
        training(modules).describe()


def finished(folder, recipe, **changes):
    """Write the record that a finished run leaves, with changes."""
    record = {**recipe.describe(), "steps_done": recipe.train.steps, "seconds": 1.5, **changes}
    (folder / "export").mkdir(parents=True)
    (folder / "export" / "config.json").write_text(json.dumps({"training": record}))


def test_a_finished_run_is_left_as_it_is(modules, tmp_path):
    recipe = base("tiny", 100)
    finished(tmp_path, recipe)
    lines = [{"step": 1, "perplexity_moving": 2.0}, {"step": 2, "perplexity_moving": 3.0, "x": 1}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "scalars.jsonl").write_text(text)
    told = training(modules).trained(recipe, tmp_path, tmp_path / "no codebook")
    assert told == {
        "recipe": recipe.name,
        "steps": recipe.train.steps,
        "seconds": 1.5,
        "perplexity_moving": 3.0,
    }


@pytest.mark.parametrize("change", [{"steps_done": 1}, {"stage": "Another"}])
def test_a_run_of_less_or_other_is_taken_up(modules, tmp_path, change):
    recipe = base("tiny", 100)
    finished(tmp_path / "run", recipe, **change)
    with pytest.raises(CheckpointError, match="no codebook is not an exported module"):
        training(modules, out=tmp_path).trained(recipe, tmp_path / "run", tmp_path / "no codebook")

"""Ranges of semantic codes are those that the codebook was put together from."""

import pytest
import torch

from semanticodec.checkpoints.index import DEFAULT_MODEL
from semanticodec.checkpoints.pretrained import choose_vocabulary, read_setting
from semanticodec.checkpoints.trained_module import CODEBOOK, export_module
from semanticodec.config import tiny
from semanticodec.errors import CheckpointError, CodesError, ConfigError
from semanticodec.lm import SemanticDomains
from semanticodec.training.stages.codebook import CodebookRecipe


def test_ranges_of_an_export(tmp_path):
    recipe = CodebookRecipe(name="test", shares=(("speech", 0.5), ("general", 0.5)))
    config = {"entries": {"10": recipe.entries_of(10), "6": recipe.entries_of(6)}}
    export_module(tmp_path, name=CODEBOOK, config=config, weights={})
    domains = SemanticDomains.from_export(tmp_path, 6)
    assert domains.ranges == {"speech": range(3), "general": range(3, 6)}
    assert list(domains.ranges) == ["speech", "general"]  # the order of the codebook
    assert domains.of(torch.tensor([[0, 2, 3], [5, 4, 0]])).tolist() == [[0, 0, 1], [1, 1, 0]]
    with pytest.raises(CheckpointError, match="domains of 7 semantic codes"):
        SemanticDomains.from_export(tmp_path, 7)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"config": {"entries": {"6": 6}}}', '{"config": 1}']
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match="give the export folder"):
        SemanticDomains.from_export(tmp_path, 6)


def test_codes_and_entries_that_do_not_fit():
    with pytest.raises(ConfigError, match="give every domain 1 or more"):
        SemanticDomains({"speech": 0})
    with pytest.raises(ConfigError, match="give every domain 1 or more"):
        SemanticDomains({})
    with pytest.raises(CodesError, match="codes from 0 to 4; these domains have 4"):
        SemanticDomains({"speech": 4}).of(torch.tensor([0, 4]))


@pytest.mark.parametrize("token_rate", [100, 50, 25])
def test_the_built_in_model_says_where_its_codes_came_from(token_rate):
    config, _ = read_setting(DEFAULT_MODEL, token_rate)
    for size in config.encoder.semantic.vocab_sizes:
        ranges = SemanticDomains.from_config(choose_vocabulary(config, size)).ranges
        assert {name: len(codes) for name, codes in ranges.items()} == {
            "general": size // 2,
            "music": size // 4,
            "speech": size // 4,
        }
        assert list(ranges) == ["general", "music", "speech"]


def test_a_model_that_does_not_say_it():
    with pytest.raises(ConfigError, match="does not say where its 64 semantic codes came from"):
        SemanticDomains.from_config(choose_vocabulary(tiny(), 64))

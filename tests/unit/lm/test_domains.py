"""Ranges of semantic codes are those that the codebook was put together from."""

import pytest
import torch

from semanticodec.checkpoints.trained_module import CODEBOOK, export_module
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

"""The variants of a table differ in what the table is about, and in nothing else."""

import dataclasses

import pytest

from experiments.ablations import recipes as ablations
from experiments.ablations.learned_semantic import LearnedSemanticStage
from semanticodec.recipes import codebook
from semanticodec.token_format import TOKEN_RATES
from semanticodec.training.stages.codec import CodecStage

CHANGED = {
    "variable-vocabulary": {"is_vocabulary_fixed"},
    "acoustic-codebook": {"quantizer"},
    "lstm-direction": {"is_acoustic_bidirectional"},
    "learnable-semantic": {"semantic"},
}


def settings(config):
    return {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}


@pytest.mark.parametrize("size", ablations.SIZES)
@pytest.mark.parametrize("name", ablations.VARIANTS)
def test_variants_differ_in_one_setting(name, size):
    variants = list(ablations.VARIANTS[name](ablations.base(size, 50)).values())
    assert len({variant.name for variant in variants}) == len(variants)
    first, *others = (settings(variant.stage_config) for variant in variants)
    for other in others:
        changed = {key for key in other if key not in first or other[key] != first[key]}
        assert changed == CHANGED[name]
    assert all(variant.train == variants[0].train for variant in variants)


@pytest.mark.parametrize("size", ablations.SIZES)
@pytest.mark.parametrize("token_rate", TOKEN_RATES)
def test_every_size_has_every_rate(size, token_rate):
    stack_factor = 100 // token_rate
    assert ablations.base(size, token_rate).stage_config.stack_factors == (stack_factor,)
    for recipe in (ablations.clustering(size, token_rate), ablations.centroids(size, token_rate)):
        assert recipe.stack_factor == stack_factor
        assert str(size) in recipe.name


def test_the_paper_sizes_are_those_of_its_tables():
    base = ablations.base("paper", ablations.PAPER_RATE)
    variants = ablations.acoustic_codebook(base).values()
    sizes = [variant.stage_config.quantizer.codebook_size for variant in variants]
    assert sizes == [8192, 4096, 2048]
    assert ablations.centroids("paper", 50).vocab_sizes == codebook.PAPER_SIZES


def test_the_learned_layer_is_like_the_acoustic_one():
    variants = ablations.learnable_semantic(ablations.base("small", 100))
    stages = [variant.stage for variant in variants.values()]
    assert stages == [CodecStage, LearnedSemanticStage]
    learned = variants["learned codebook"].stage_config
    assert learned.semantic == learned.quantizer
    assert learned.is_vocabulary_fixed

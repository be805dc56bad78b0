"""Acoustic encoder: official parameter counts, and who sees whom along time."""

import pytest
import torch
from torch import nn

from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.untold_energies import UntoldEnergies
from semanticodec.runtimes.onednn import use_onednn


@pytest.mark.parametrize(
    ("stack_factor", "num_layers", "lstm", "linear"),
    [
        (1, 4, 207_716_352, 2_359_296),
        (2, 3, 604_127_232, 9_437_184),
        (4, 2, 1_510_146_048, 37_748_736),
    ],
)
def test_parameter_counts_are_the_release_s(stack_factor, num_layers, lstm, linear):
    width = 768 * stack_factor
    config = AcousticEncoder.Config(width=width, hidden=2 * width, num_layers=num_layers)
    with torch.device("meta"):
        module = AcousticEncoder(config)
    assert sum(parameter.numel() for parameter in module.lstm.parameters()) == lstm
    assert sum(parameter.numel() for parameter in module.project.parameters()) == linear


def changed_positions(bidirectional: bool) -> list[bool]:
    """Which outputs change when position 5 of 10 does."""
    torch.manual_seed(0)
    config = AcousticEncoder.Config(width=4, hidden=8, num_layers=2, bidirectional=bidirectional)
    module = AcousticEncoder(config)
    features, quantized = torch.randn(1, 10, 4), torch.randn(1, 10, 4)
    before = module(features, quantized)
    assert before.shape == (1, 10, 4)
    quantized[0, 5] += 1
    return (module(features, quantized) != before).any(dim=-1)[0].tolist()


def test_both_directions_reach_every_position():
    assert changed_positions(bidirectional=True) == [True] * 10


def test_one_direction_never_looks_ahead():
    assert changed_positions(bidirectional=False) == [False] * 5 + [True] * 5


def test_features_come_before_their_centroids():
    module = AcousticEncoder(AcousticEncoder.Config(width=4, hidden=8, num_layers=1))
    with torch.no_grad():
        module.lstm.weight_ih_l0[:, 4:] = 0
        module.lstm.weight_ih_l0_reverse[:, 4:] = 0
    features = torch.randn(1, 10, 4)
    assert torch.equal(
        module(features, torch.randn(1, 10, 4)), module(features, torch.randn(1, 10, 4))
    )


SEES_MEL = {"is_residual": True, "num_mel_bins": 64, "num_axes": 5}


def test_untold_energies_take_the_place_of_the_difference():
    config = AcousticEncoder.Config(width=8, hidden=4, num_layers=1, **SEES_MEL)
    encoder = AcousticEncoder(config)
    assert isinstance(encoder.residual, UntoldEnergies)
    nn.init.normal_(encoder.residual.axes.weight)
    features, quantized, mel = torch.randn(2, 16, 8), torch.randn(2, 16, 8), torch.randn(2, 32, 64)
    vectors = encoder(features, quantized, mel)
    assert torch.equal(vectors, encoder.residual.as_cells(encoder.residual(quantized, mel)))
    assert vectors.abs().min() > 0
    # The LSTM, once it has weight, sees the mel, too.
    nn.init.normal_(encoder.project.weight)
    others = encoder(features, quantized, mel.flip(1))
    assert not torch.equal(others, encoder(features, quantized, mel))


def test_residual_starts_as_what_the_centroid_left_out():
    config = AcousticEncoder.Config(width=8, hidden=4, num_layers=1, is_residual=True)
    encoder = AcousticEncoder(config)
    features, quantized = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    torch.testing.assert_close(encoder(features, quantized), features - quantized)
    encoder(features, quantized).square().sum().backward()
    assert encoder.project.weight.grad.abs().sum() > 0, "the LSTM must be able to join in"


def test_official_acoustic_encoder_has_no_residual():
    names = AcousticEncoder(AcousticEncoder.Config(width=8, hidden=4, num_layers=1)).state_dict()
    assert not any("residual" in name for name in names)


@pytest.mark.parametrize("options", [{}, {"is_residual": True}, SEES_MEL])
@torch.no_grad()
def test_an_item_does_not_depend_on_its_batch_to_the_bit(options):
    torch.manual_seed(0)
    config = AcousticEncoder.Config(width=40, hidden=24, num_layers=2, **options)
    encoder = use_onednn(AcousticEncoder(config))
    for weight in (encoder.project.weight, *(encoder.residual or nn.Identity()).parameters()):
        weight.normal_()
    given = [torch.randn(5, 32, 40), torch.randn(5, 32, 40)]
    given += [torch.randn(5, 64, 64)] if config.num_mel_bins else []
    together = encoder(*given)
    items = zip(*(rows.split(1) for rows in given), strict=True)
    assert torch.equal(together, torch.cat([encoder(*item) for item in items]))

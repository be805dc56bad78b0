"""Ridge regression, by either of its forms, and of bands apart."""

import torch

from semanticodec.layers.banded_linear import BandedLinear
from semanticodec.training.regression import fit_bands, linear_map


def test_few_rows_give_what_the_normal_equations_give():
    torch.manual_seed(0)
    inputs, targets, ridge = torch.randn(30, 50), torch.randn(30, 4), 0.1
    rows, wanted = inputs - inputs.mean(dim=0), targets - targets.mean(dim=0)
    lift = ridge * rows.square().sum(dim=0).diag()
    expected = torch.linalg.solve((rows.T @ rows + lift).double(), (rows.T @ wanted).double())
    found = linear_map(inputs, targets, ridge, torch.ones(30))
    torch.testing.assert_close(found, expected.float())


def test_a_row_of_weight_two_counts_as_two_rows_and_one_of_zero_as_none():
    torch.manual_seed(0)
    inputs, targets = torch.randn(40, 5), torch.randn(40, 3)
    weights = torch.ones(40)
    weights[0], weights[1] = 2, 0
    twice = torch.tensor([0, 0, *range(2, 40)])
    torch.testing.assert_close(
        linear_map(inputs, targets, 0.1, weights),
        linear_map(inputs[twice], targets[twice], 0.1, torch.ones(40)),
    )


def test_bands_have_maps_of_their_own():
    torch.manual_seed(0)
    truth, found = BandedLinear(4, 6, 3), BandedLinear(4, 6, 3)
    with torch.no_grad():
        for parameter in truth.parameters():
            parameter.normal_()
    rows, bands = torch.randn(1, 800, 6), torch.arange(800) % 4
    fit_bands(found, rows[0], truth(rows)[0], bands, torch.rand(800))
    torch.testing.assert_close(found(rows), truth(rows), atol=1e-2, rtol=1e-2)

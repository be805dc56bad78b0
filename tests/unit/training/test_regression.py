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
    torch.testing.assert_close(linear_map(inputs, targets, ridge), expected.float())


def test_bands_have_maps_of_their_own():
    torch.manual_seed(0)
    truth, found = BandedLinear(4, 6, 3), BandedLinear(4, 6, 3)
    with torch.no_grad():
        for parameter in truth.parameters():
            parameter.normal_()
    rows, bands = torch.randn(1, 800, 6), torch.arange(800) % 4
    fit_bands(found, rows[0], truth(rows)[0], bands)
    torch.testing.assert_close(found(rows), truth(rows), atol=1e-2, rtol=1e-2)

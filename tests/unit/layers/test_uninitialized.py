"""Weights that are about to be loaded are not drawn; everything else is computed as ever."""

import torch
from torch import nn

from semanticodec.layers.uninitialized import Uninitialized


def test_nothing_is_drawn():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    with Uninitialized():
        modules = nn.LSTM(4, 4), nn.Linear(4, 4), nn.Conv2d(4, 4, 3)
        token = nn.init.normal_(torch.empty(4))
        nn.init.trunc_normal_(token)
    assert torch.equal(torch.rand(1), expected), "the generator has not moved"
    assert all(isinstance(module, nn.Module) for module in modules)


def test_tables_and_constants_are_computed():
    with Uninitialized():
        norm, table = nn.LayerNorm(4), torch.arange(4) * 2.0
        zeros = nn.init.zeros_(torch.empty(3))
    assert torch.equal(norm.weight, torch.ones(4)) and table.tolist() == [0.0, 2.0, 4.0, 6.0]
    assert torch.equal(zeros, torch.zeros(3))


def test_drawing_goes_on_afterwards():
    with Uninitialized():
        pass
    assert nn.init.normal_(torch.zeros(100)).std() > 0.5

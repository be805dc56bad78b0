"""Laws of the loss on what features keep of their own patch."""

import math

import pytest
import torch

from semanticodec.audio.detail import split_detail
from semanticodec.encoder.audiomae import patchify
from semanticodec.training.detail_loss import DetailLoss, loudness_weights


def loss_of(**changes):
    torch.manual_seed(0)
    return DetailLoss(DetailLoss.Config(**changes), width=512, patch_size=16)


def test_features_that_hold_level_and_detail_cost_nothing():
    fbank = torch.randn(2, 32, 128) * 0.1
    level, detail = (patchify(part, 16) for part in split_detail(fbank))
    loss = loss_of()
    with torch.no_grad():
        loss.head.weight.copy_(torch.eye(512))
        loss.head.bias.zero_()
    errors = loss(torch.cat([level / 0.5, detail / 0.1], dim=-1), fbank)
    assert errors["level"] < 1e-10
    assert errors["detail"] < 1e-8


def test_detail_counts_as_much_as_level_though_it_is_smaller():
    fbank = torch.zeros(1, 16, 128)
    loss = loss_of()
    torch.nn.init.zeros_(loss.head.weight)
    with torch.no_grad():
        loss.head.bias[:256] = 1.0
        loss.head.bias[256:] = 1.0
    errors = loss(torch.zeros(1, 8, 512), fbank)
    assert errors["level"].item() == pytest.approx(1.0)
    assert errors["detail"].item() == pytest.approx(1.0)


def test_total_weighs_the_errors():
    errors = {"level": torch.tensor(2.0), "detail": torch.tensor(3.0)}
    assert loss_of(level_weight=0.5, detail_weight=2.0).total(errors) == 7.0


def test_loudness_weights_have_mean_1_and_grow_with_energy():
    level = torch.zeros(1, 2, 4)
    level[0, 1] = math.log(10.0) / (2 * 4.5689974)  # ten times the energy
    assert torch.equal(loudness_weights(level, 0.0), torch.ones(1, 2, 4))
    weights = loudness_weights(level, 0.3)
    assert weights.mean().item() == pytest.approx(1.0)
    assert (weights[0, 1, 0] / weights[0, 0, 0]).item() == pytest.approx(10.0**0.3)


def test_loss_of_a_batch_is_the_mean_over_its_items():
    loss, fbank, features = loss_of(loudness_power=0.2), torch.randn(2, 16, 128), None
    features = torch.randn(2, 8, 512)
    both = loss.total(loss(features, fbank))
    apart = [loss.total(loss(features[i : i + 1], fbank[i : i + 1])) for i in range(2)]
    assert both.item() == pytest.approx(torch.stack(apart).mean().item(), rel=1e-5)

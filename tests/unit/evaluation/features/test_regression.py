"""Laws of the linear maps and of R^2."""

import pytest
import torch

from semanticodec.evaluation.features.regression import ExplainedVariance, LinearMaps


def test_a_linear_map_of_each_band_is_found_again_from_parts():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 5, generator=generator)
    bands = torch.arange(400) % 2
    truth = torch.randn(2, 5, 3, generator=generator)
    targets = torch.einsum("nd,nde->ne", features, truth[bands]) + bands.unsqueeze(1)
    maps = LinearMaps(2)
    maps.add(features[:100], targets[:100], bands[:100])
    maps.add(features[100:300], targets[100:300], bands[100:300])
    found = maps.predict(features[300:], bands[300:])
    assert torch.allclose(found, targets[300:], atol=5e-3)


def test_a_constant_feature_does_no_harm():
    features = torch.cat([torch.randn(50, 2), torch.zeros(50, 1), torch.ones(50, 1)], dim=1)
    maps = LinearMaps(1)
    maps.add(features, features[:, :1], torch.zeros(50, dtype=torch.long))
    found = maps.predict(features, torch.zeros(50, dtype=torch.long))
    assert torch.allclose(found, features[:, :1], atol=1e-2)


def test_explained_variance_is_1_for_the_truth_and_0_for_the_mean():
    targets = torch.randn(60, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0]) + 5.0
    bands = torch.arange(60) % 3
    right, mean = ExplainedVariance(3), ExplainedVariance(3)
    means = torch.stack([targets[bands == band].mean(dim=0) for band in range(3)])
    for part in (slice(0, 20), slice(20, 60)):
        right.add(targets[part], targets[part], bands[part])
        mean.add(means[bands[part]], targets[part], bands[part])
    assert right.per_band() == [1.0, 1.0, 1.0]
    assert mean.per_band() == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert mean.overall() == pytest.approx(0.0, abs=1e-6)

"""The probe solves what can be solved, guesses what cannot, and its scores are the right ones."""

import pytest
import torch

from semanticodec.evaluation.semantics.probe import (
    ProbeSettings,
    accuracy,
    majority_score,
    mean_average_precision,
    probe,
)
from semanticodec.evaluation.semantics.tasks import Round

QUICK = ProbeSettings(hidden_sizes=(32,), learning_rates=(3e-3, 1e-3), max_epochs=100, num_seeds=2)
NUM_CLASSES = 4


def clusters(num_clips: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes that lie apart in 3 of 16 dimensions, on scales that only standardizing evens out."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_clips) % NUM_CLASSES
    centers = 3.0 * torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    features = torch.randn(num_clips, 16, generator=generator)
    features[:, :3] += centers[labels]
    features *= torch.logspace(-3, 3, 16)
    return features + 100, torch.nn.functional.one_hot(labels, NUM_CLASSES).float()


def thirds(num_clips: int) -> list[Round]:
    parts = [tuple(range(third, num_clips, 3)) for third in range(3)]
    # A stride of 3 over 4 classes leaves every class in every part.
    return [
        Round(name=str(index), train=parts[index - 2], valid=parts[index - 1], test=parts[index])
        for index in range(3)
    ]


def run(features: torch.Tensor, targets: torch.Tensor, settings: ProbeSettings = QUICK) -> list:
    return probe(
        features,
        targets,
        thirds(len(features)),
        metric="accuracy",
        is_multilabel=False,
        settings=settings,
    )


def test_separable_classes_are_told_apart() -> None:
    runs = run(*clusters(240))
    assert [(one.round_name, one.seed) for one in runs] == [
        (name, seed) for name in "012" for seed in range(2)
    ]
    assert all(one.score > 95 for one in runs)
    assert all(one.learning_rate in QUICK.learning_rates for one in runs)


def test_permuted_labels_are_at_chance() -> None:
    features, targets = clusters(480)
    order = torch.randperm(480, generator=torch.Generator().manual_seed(3))
    runs = run(features, targets[order])
    mean = sum(one.score for one in runs) / len(runs)
    # 480 guesses at 25 %: a standard deviation of 2.
    assert 17 < mean < 33


def test_the_same_arguments_give_the_same_runs() -> None:
    features, targets = clusters(60)
    torch.manual_seed(1)
    first = run(features + torch.rand(60, 1), targets)
    torch.manual_seed(1)
    noisy = features + torch.rand(60, 1)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert run(noisy, targets) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_the_test_part_decides_nothing() -> None:
    features, targets = clusters(120)
    one = thirds(120)[0]
    changed = features.clone()
    changed[list(one.test)] *= -50
    settings = {"metric": "accuracy", "is_multilabel": False, "settings": QUICK}
    first = probe(features, targets, [one], **settings)
    second = probe(changed, targets, [one], **settings)
    for a, b in zip(first, second):
        assert (a.hidden_size, a.learning_rate, a.valid_score) == (
            b.hidden_size,
            b.learning_rate,
            b.valid_score,
        )


def test_the_best_epoch_is_kept_however_long_training_goes_on() -> None:
    features, targets = clusters(60)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    settings = [
        ProbeSettings(hidden_sizes=(32,), learning_rates=(3e-3,), num_seeds=1, max_epochs=epochs)
        for epochs in range(1, 12)
    ]
    runs = [run(features, targets[order], one) for one in settings]
    for shorter, longer in zip(runs, runs[1:]):
        for a, b in zip(shorter, longer):
            assert b.valid_score >= a.valid_score


def test_features_that_training_never_sees_change_are_ignored() -> None:
    features, targets = clusters(240)
    one = thirds(240)[0]
    constant = torch.full((240, 1), -15.942385)
    constant[list(one.test)] = 1e6
    settings = {"metric": "accuracy", "is_multilabel": False, "settings": QUICK}
    with_constant = probe(torch.cat([features, constant], 1), targets, [one], **settings)
    assert all(run.score > 95 for run in with_constant)


def test_multilabel_classes_are_found_independently() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(150, 3, generator=generator) < 0.3).float()
    features = torch.cat([targets, torch.zeros(150, 5)], 1)
    features += 0.2 * torch.randn(150, 8, generator=generator)
    runs = probe(features, targets, thirds(150), metric="mAP", is_multilabel=True, settings=QUICK)
    assert all(one.score > 95 for one in runs)


def test_accuracy_counts_the_highest_score() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    targets = torch.tensor([[1, 0], [0, 1], [0, 1], [1, 0]]).float()
    assert accuracy(scores, targets) == 50


def test_average_precision_of_hand_computed_ranks() -> None:
    # Ranks of the class's clips: 1, 3 and 4 of 5.
    scores = torch.tensor([[0.9], [0.8], [0.7], [0.6], [0.1]])
    targets = torch.tensor([[1.0], [0.0], [1.0], [1.0], [0.0]])
    assert mean_average_precision(scores, targets) == pytest.approx(
        100 * (1 / 1 + 2 / 3 + 3 / 4) / 3
    )


def test_average_precision_of_ties_is_the_share_of_the_class() -> None:
    targets = torch.tensor([[1.0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    # The second class has no clip and is left out.
    assert mean_average_precision(torch.zeros(4, 3), targets) == pytest.approx((25 + 50) / 2)
    order = torch.tensor([2, 0, 3, 1])
    assert mean_average_precision(torch.zeros(4, 3), targets[order]) == pytest.approx(37.5)


def test_majority_is_that_of_the_training_part() -> None:
    targets = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [1, 0]]).float()
    one = Round(name="test", train=(0, 1, 2), valid=(3,), test=(3, 4, 5))
    assert majority_score(targets, [one]) == pytest.approx(100 / 3)

"""Laws of what the stages with a discriminator share."""

import pytest
import torch

from semanticodec.training.data import Batch
from semanticodec.training.stages.adversarial import (
    GeneratedPairs,
    adaptive_weight,
    discriminator_output,
)


def batch(step, size=4):
    generators = [torch.Generator().manual_seed(item) for item in range(size)]
    return Batch(wav=torch.zeros(size, 8), generators=generators, step=step)


def test_each_micro_batch_gets_its_own_items_back_once():
    hand_over, whole = GeneratedPairs(), batch(0)
    for number, part in enumerate(whole.split(2)):
        hand_over.put(part, part.wav, torch.full((2, 3), float(number), requires_grad=True))
    # The discriminator's turn cuts the same batch anew.
    for number, part in enumerate(whole.split(2)):
        real, generated = hand_over.take(part)
        assert real.shape == part.wav.shape
        assert (generated == number).all()
        assert not generated.requires_grad
    with pytest.raises(AssertionError, match="generator's turn"):
        hand_over.take(whole.split(2)[0])


def test_items_of_earlier_steps_are_forgotten():
    hand_over, earlier = GeneratedPairs(), batch(0)
    hand_over.put(earlier, earlier.wav, earlier.wav)
    later = batch(1)
    hand_over.put(later, later.wav, later.wav)
    with pytest.raises(AssertionError):
        hand_over.take(earlier)


def test_the_adaptive_weight_makes_both_losses_pull_alike():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    reconstruction, adversarial = (3 * weight).sum(), (0.25 * weight).sum()
    factor = adaptive_weight(reconstruction, adversarial, weight)
    assert factor == pytest.approx(12.0)
    assert not factor.requires_grad
    # The graph is still there for the step itself.
    (reconstruction + factor * adversarial).backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == pytest.approx([6.0, 6.0])


def test_the_adaptive_weight_stays_finite_without_a_pull():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    assert adaptive_weight(weight.sum(), (0.0 * weight).sum(), weight) == pytest.approx(1e4)


def test_discriminator_output_splits_recordings_and_generated_items():
    logits = [torch.tensor([[3.0], [-3.0]]), torch.tensor([[1.0], [1.0]])]
    output = discriminator_output(logits, "hinge")
    assert output.loss == pytest.approx((0.0 + 2.0) / 2)
    assert output.scalars["logit_real"] == pytest.approx(2.0)
    assert output.scalars["logit_generated"] == pytest.approx(-1.0)

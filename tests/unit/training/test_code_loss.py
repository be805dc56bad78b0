"""The cost of acoustic codes is the same for every scale of their vectors."""

import pytest
import torch

from semanticodec.encoder.encoder import EncoderOutput
from semanticodec.training.code_loss import relative_code_loss

VALID = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


def output(scale: float) -> EncoderOutput:
    vectors = scale * torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    vectors.requires_grad_()
    codes = torch.zeros(2, 5, dtype=torch.long)
    nearest = scale * (vectors[VALID] / scale).round().detach()
    commitment = (vectors[VALID] - nearest).square().mean()
    return EncoderOutput(
        semantic_codes=codes,
        acoustic_codes=codes,
        semantic_features=vectors.detach(),
        acoustic_features=vectors.detach(),
        features=vectors.detach(),
        vectors=vectors,
        valid=VALID,
        losses={"commitment": commitment, "entropy": commitment.new_zeros(())},
    )


@pytest.mark.parametrize("scale", [0.01, 3.0, 100.0])
def test_longer_vectors_with_longer_codes_cost_the_same(scale: float) -> None:
    wanted = relative_code_loss(output(1.0)).item()
    assert relative_code_loss(output(scale)).item() == pytest.approx(wanted, rel=1e-5)


def test_the_loss_pulls_vectors_to_their_codes_and_does_not_stretch_them() -> None:
    encoded = output(1.0)
    relative_code_loss(encoded).backward()
    vectors, gradient = encoded.vectors, encoded.vectors.grad
    assert gradient is not None
    away = (vectors - vectors.round())[VALID].detach()
    cosine = torch.nn.functional.cosine_similarity(gradient[VALID].flatten(), away.flatten(), dim=0)
    assert cosine.item() == pytest.approx(1.0)
    assert not gradient[~VALID].any()


def test_an_encoder_that_gives_zeros_costs_nothing() -> None:
    encoded = output(1.0)
    zeros = torch.zeros_like(encoded.vectors)
    silent = encoded._replace(vectors=zeros, losses={"commitment": zeros.sum()})
    assert relative_code_loss(silent) == 0

"""What acoustic codes cost while the acoustic encoder is trained through the decoder."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from semanticodec.encoder.encoder import EncoderOutput

LEAST_ENERGY = 1e-12


def relative_code_loss(encoded: EncoderOutput) -> Float[Tensor, ""]:
    """Return the quantizer's own losses as a share of its vectors' energy.

    The vectors of one token rate have several times the energy of another's. As they are, a
    weight that holds the vectors of one at their codes makes those of another shrink, which
    brings them nearer to any code, until few codes are used.

    Args:
        encoded: result of the encoder in training.
    """
    vectors = encoded.vectors.detach()[encoded.valid]
    energy = vectors.square().sum(dim=1).mean().clamp_min(LEAST_ENERGY)
    return sum(encoded.losses.values(), start=energy.new_zeros(())) / energy

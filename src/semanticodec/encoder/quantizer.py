"""What the codec and its training ask of an acoustic quantizer.

    vectors [B, L, D] -> codes [B, L] -> quantized vectors [B, L, D]

A quantizer is one file with a class derived from `Quantizer` and its nested Config, one line in
the table of `quantizers.py`, and a recipe. What the rest of the program relies on:

- `Codes` and the header of a `.smtc` file hold one integer for every position, in
  [0, codebook_size). A quantizer of several levels (residual, product, finite scalar) joins its
  digits into one integer in mixed radix: digit_0 + size_0 * (digit_1 + size_1 * (digit_2 + ...)).
  The file then takes log2(codebook_size) bits, rounded up, for each.
- The T-UNet sees one vector of `width` for every position, from `decode(codes)`, whatever the
  digits stand for. No code may depend on other positions or items, and `decode` needs nothing
  but the codes.
- Training calls `forward`, which gives quantized vectors that pass gradients back to the acoustic
  encoder, the codes, and losses (ready to be added) by name; none is fine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from semanticodec.layers.processes import sum_over_processes


@runtime_checkable
class QuantizerConfig(Protocol):
    """What the Config of every quantizer holds; a frozen dataclass, as all Configs are."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def width(self) -> int:
        """D of the vectors that come in and go out: a field of this name."""
        ...

    @property
    def codebook_size(self) -> int:
        """How many different codes there are: a field, or a property that follows from others."""
        ...


class QuantizerOutput(NamedTuple):
    """What one pass through a quantizer gives.

    Attributes:
        quantized: what `decode` makes of the codes; in training with a gradient to the input.
        codes: integers in [0, codebook_size).
        losses: weighted, ready to be added to the loss (Eq. 11), by name.
    """

    quantized: Float[Tensor, "B L D"]
    codes: Int[Tensor, "B L"]
    losses: Mapping[str, Float[Tensor, ""]]


class Quantizer(nn.Module):
    """Base of all acoustic quantizers; works in float32, also under autocast.

    Attributes:
        Config: class of the sizes, nested in every quantizer.
        config: sizes that the quantizer was made from.
        full_precision: names of buffers that a model file stores in float32 whatever the
            precision of the rest.
    """

    Config: ClassVar[Any]
    config: QuantizerConfig
    full_precision: ClassVar[tuple[str, ...]] = ()

    @property
    def starts_from_vectors(self) -> bool:
        """Whether `start_from` does anything with its vectors, which take time to compute."""
        return False

    def encode(self, vectors: Float[Tensor, "B L D"]) -> Int[Tensor, "B L"]:
        """Return the code of every position; none depends on another position or item.

        Args:
            vectors: the acoustic encoder's output.
        """
        raise NotImplementedError

    def decode(self, codes: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """Return the quantized vector of every code.

        Args:
            codes: integers in [0, codebook_size).
        Raises:
            CodesError: a code out of range; `nearest.check_codes` has the message.
        """
        raise NotImplementedError

    def bypass(self, vectors: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Return what `decode` would give if every vector had a code of its own."""
        raise NotImplementedError

    def forward(
        self,
        vectors: Float[Tensor, "B L D"],
        generators: Sequence[torch.Generator] | None = None,
        mask: Bool[Tensor, "B L"] | None = None,
    ) -> QuantizerOutput:
        """Quantize with gradients.

        Args:
            vectors: the acoustic encoder's output.
            generators: one per item, the only source of randomness; None where nothing is drawn.
            mask: True where a position counts for losses and statistics; padded positions are
                quantized all the same. None counts all.
        """
        raise NotImplementedError

    def start_from(self, vectors: Float[Tensor, "N D"], generator: torch.Generator) -> None:
        """Start from vectors that are to be quantized, before training; by default do nothing.

        Every process calls it with the same vectors.

        Args:
            vectors: outputs of the untrained acoustic encoder for many windows.
            generator: the only source of randomness.
        """


def principal_axes(
    vectors: Float[Tensor, "N D"], count: int
) -> tuple[Float[Tensor, "W D"], Float[Tensor, " W"], Float[Tensor, " D"]]:
    """Return the axes of largest variance, the variances (ascending) and the mean, in float64."""
    exact = vectors.double().cpu()
    mean = exact.mean(dim=0)
    variances, directions = torch.linalg.eigh((exact - mean).T.cov())
    return directions[:, -count:].T, variances[-count:], mean


def count_codes(
    codes: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"], codebook_size: int
) -> Float[Tensor, " K"]:
    """Return how often each code occurs where the mask is True, over all processes."""
    return sum_over_processes(torch.bincount(codes[mask], minlength=codebook_size).float())


def perplexity(counts: Float[Tensor, " K"]) -> Float[Tensor, ""]:
    """Return exp(entropy) of codes that occur so often: 1 for a single code, K for all alike."""
    shares = counts / counts.sum().clamp_min(1)
    return torch.special.entr(shares).sum().exp()

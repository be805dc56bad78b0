"""Layers that are a matrix product and nothing else, by oneDNN."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from semanticodec.encoder.nearest import NearestSearch, nearest_codes
from semanticodec.runtimes.onednn.products import linear


class FastLinear(nn.Linear):
    """torch.nn.Linear by `linear`."""

    def forward(self, input: Float[Tensor, "... D"]) -> Float[Tensor, "... D2"]:
        """Return input · weightᵀ + bias."""
        return linear(input, self.weight, self.bias)


class FastNearestSearch(NearestSearch):
    """The search whose distances are formed by `linear`."""

    def forward(
        self, vectors: Float[Tensor, "B L D"], codebook: Float[Tensor, "K D"]
    ) -> Int[Tensor, "B L"]:
        """Return the index of the nearest codebook row."""
        return nearest_codes(vectors, codebook, product=linear)

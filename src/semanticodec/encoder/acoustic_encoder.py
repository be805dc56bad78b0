"""Acoustic encoder: an LSTM that looks for what the semantic centroid lost."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.layers.banded_linear import BandedLinear

# A position itself and the four beside it.
NUM_NEIGHBORS = 5


class AcousticEncoder(nn.Module):
    """LSTM over [features, centroids], then a linear map back to the feature width (Eq. 2)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes; officially hidden = 2 * width, and 4, 3, 2 layers for stack factors 1, 2, 4.

        Attributes:
            width: width of features, centroids and output.
            hidden: width of the LSTM, per direction.
            num_layers: layers of the LSTM.
            bidirectional: whether a second direction runs back; without is the ablation of the
                paper's Table VI.
            is_residual: add a linear map of features - centroids that starts as that difference,
                with the LSTM joining in from zero (not official). The codes then start as a
                second stage of residual quantization, spread as wide as the data: without it a
                small budget collapses the acoustic codebook.
            patch_width: energies of the position's own patches that it sees beside features and
                centroids (K patches of 16 x 16), so that codes can carry the harmonics that
                features lost; 0 is the paper's form. The residual map then differs between bands
                and sees the patches around the position, too, as the mel that is decoded has
                longer frames and other bins than the patches.
            num_bands: positions of a column, for that map.
            residual_width: values that it gives; the others of its output are zero.
        """

        width: int = 768
        hidden: int = 1536
        num_layers: int = 4
        bidirectional: bool = True
        is_residual: bool = False
        patch_width: int = 0
        num_bands: int = 8
        residual_width: int = 48

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.lstm = nn.LSTM(
            2 * config.width + config.patch_width,
            config.hidden,
            config.num_layers,
            batch_first=True,
            bidirectional=config.bidirectional,
        )
        lstm_width = (2 if config.bidirectional else 1) * config.hidden
        self.project = nn.Linear(lstm_width, config.width, bias=False)
        self.residual: nn.Linear | BandedLinear | None = None
        if config.is_residual:
            self.residual = _residual_map(config)
            nn.init.zeros_(self.project.weight)

    def forward(
        self,
        features: Float[Tensor, "B L D"],
        quantized: Float[Tensor, "B L D"],
        patches: Float[Tensor, "B L P"] | None = None,
    ) -> Float[Tensor, "B L D"]:
        """Return the acoustic feature of every position, before quantization.

        Args:
            features: stacked AudioMAE features, padded positions marked.
            quantized: their semantic centroids, padded positions marked.
            patches: energies of every position, padded positions marked, where `patch_width` asks
                for them.
        Source: paper Eq. 2; the linear map without bias is the release's.
        """
        beside = [] if patches is None else [patches]
        hidden, _ = self.lstm(torch.cat([features, quantized, *beside], dim=-1))
        return self.project_out(hidden, self.residual_inputs(features, quantized, patches))

    def residual_inputs(
        self,
        features: Float[Tensor, "B L D"],
        quantized: Float[Tensor, "B L D"],
        patches: Float[Tensor, "B L P"] | None = None,
    ) -> Float[Tensor, "B L D3"]:
        """Return what the residual map is given, see `forward`."""
        difference = features - quantized
        if patches is None:
            return difference
        return torch.cat([difference, with_neighbors(patches, self.config.num_bands)], dim=-1)

    def residual_vectors(self, inputs: Float[Tensor, "B L D3"]) -> Float[Tensor, "B L D"]:
        """Return what the residual map gives: all there is while the LSTM has not joined in."""
        assert self.residual is not None
        vectors = self.residual(inputs)
        return F.pad(vectors, (0, self.config.width - vectors.shape[-1]))

    def project_out(
        self, hidden: Float[Tensor, "B L D2"], inputs: Float[Tensor, "B L D3"]
    ) -> Float[Tensor, "B L D"]:
        """Return the features of the LSTM's outputs.

        Args:
            hidden: outputs of the LSTM.
            inputs: result of `residual_inputs`.
        """
        acoustic = self.project(hidden)
        return acoustic if self.residual is None else acoustic + self.residual_vectors(inputs)


def _residual_map(config: AcousticEncoder.Config) -> nn.Linear | BandedLinear:
    """Return the map, which starts as features minus centroids."""
    if not config.patch_width:
        linear = nn.Linear(config.width, config.width, bias=False)
        nn.init.eye_(linear.weight)
        return linear
    in_width = config.width + NUM_NEIGHBORS * config.patch_width
    out_width = min(config.residual_width, config.width)
    banded = BandedLinear(config.num_bands, in_width, out_width, has_bias=False)
    with torch.no_grad():
        banded.weight[:] = torch.eye(in_width, out_width)
    return banded


def with_neighbors(patches: Float[Tensor, "B L P"], num_bands: int) -> Float[Tensor, "B L P5"]:
    """Return every position's patches, then those before, after, below and above it.

    Beyond the edges of the window a position is its own neighbor.

    Args:
        patches: energies of whole columns, time-major.
        num_bands: positions of a column.
    """
    columns = patches.unflatten(1, (-1, num_bands))
    before = torch.cat([columns[:, :1], columns[:, :-1]], dim=1)
    after = torch.cat([columns[:, 1:], columns[:, -1:]], dim=1)
    below = torch.cat([columns[:, :, :1], columns[:, :, :-1]], dim=2)
    above = torch.cat([columns[:, :, 1:], columns[:, :, -1:]], dim=2)
    return torch.cat([columns, before, after, below, above], dim=-1).flatten(1, 2)

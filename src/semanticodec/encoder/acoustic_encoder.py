"""Acoustic encoder: an LSTM that looks for what the semantic centroid lost."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


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
                features lost; 0 is the paper's form. The residual map then sees them too,
                starting from zero.
        """

        width: int = 768
        hidden: int = 1536
        num_layers: int = 4
        bidirectional: bool = True
        is_residual: bool = False
        patch_width: int = 0

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
        self.residual = None
        if config.is_residual:
            residual_width = config.width + config.patch_width
            self.residual = nn.Linear(residual_width, config.width, bias=False)
            nn.init.eye_(self.residual.weight)
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
        return self.project_out(hidden, torch.cat([features - quantized, *beside], dim=-1))

    def project_out(
        self, hidden: Float[Tensor, "B L D2"], difference: Float[Tensor, "B L D3"]
    ) -> Float[Tensor, "B L D"]:
        """Return the features of the LSTM's outputs.

        Args:
            hidden: outputs of the LSTM.
            difference: features less their centroids, and patches beside them if there are any,
                for the residual map.
        """
        acoustic = self.project(hidden)
        return acoustic if self.residual is None else acoustic + self.residual(difference)

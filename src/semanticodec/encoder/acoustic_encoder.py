"""Acoustic encoder: an LSTM that looks for what the semantic centroid lost."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.encoder.untold_energies import UntoldEnergies

# What untold energies see of a neighbor's centroid.
CENTROID_WIDTH = 64


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
                features lost; 0 is the paper's form. In place of the difference then stands
                `UntoldEnergies`.
            stack_factor: K, how many patches a position joins.
            num_bands: positions of a column.
            residual_width: values that untold energies give; the others of the output are zero.
        """

        width: int = 768
        hidden: int = 1536
        num_layers: int = 4
        bidirectional: bool = True
        is_residual: bool = False
        patch_width: int = 0
        stack_factor: int = 1
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
        self.residual: nn.Linear | UntoldEnergies | None = None
        if config.is_residual:
            nn.init.zeros_(self.project.weight)
            if config.patch_width:
                self.residual = UntoldEnergies(_untold_config(config))
            else:
                self.residual = nn.Linear(config.width, config.width, bias=False)
                nn.init.eye_(self.residual.weight)

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
        return self.project_out(hidden, features, quantized, patches)

    def project_out(
        self,
        hidden: Float[Tensor, "B L D2"],
        features: Float[Tensor, "B L D"],
        quantized: Float[Tensor, "B L D"],
        patches: Float[Tensor, "B L P"] | None = None,
    ) -> Float[Tensor, "B L D"]:
        """Return the features of the LSTM's outputs.

        Args:
            hidden: outputs of the LSTM.
            features: as for `forward`, and so are the others.
            quantized: semantic centroids.
            patches: energies.
        """
        acoustic = self.project(hidden)
        if self.residual is None:
            return acoustic
        return acoustic + self.residual_vectors(features, quantized, patches)

    def residual_vectors(
        self,
        features: Float[Tensor, "B L D"],
        quantized: Float[Tensor, "B L D"],
        patches: Float[Tensor, "B L P"] | None = None,
    ) -> Float[Tensor, "B L D"]:
        """Return what the acoustic features are while the LSTM has not joined in."""
        if isinstance(self.residual, UntoldEnergies):
            assert patches is not None
            vectors = self.residual(features, quantized, patches)
            return F.pad(vectors, (0, self.config.width - vectors.shape[-1]))
        assert self.residual is not None
        return self.residual(features - quantized)


def _untold_config(config: AcousticEncoder.Config) -> UntoldEnergies.Config:
    return UntoldEnergies.Config(
        width=config.width,
        patch_width=config.patch_width,
        stack_factor=config.stack_factor,
        num_bands=config.num_bands,
        out_width=min(config.residual_width, config.width),
        centroid_width=min(CENTROID_WIDTH, config.width),
    )

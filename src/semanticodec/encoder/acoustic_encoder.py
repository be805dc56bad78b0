"""Acoustic encoder: an LSTM that looks for what the semantic centroid lost."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.encoder.untold_energies import UntoldEnergies

# What is seen of a neighbor's centroid, see `ToldEnergies`.
NEIGHBOR_WIDTH = 64


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
            num_mel_bins: bins of the mel that it sees beside features and centroids, so that codes
                can tell what features lost of what is decoded; 0 is the paper's form. In place of
                the difference then stands `UntoldEnergies`, which the LSTM sees, too.
            stack_factor: K, how many patches a position joins.
            num_bands: positions of a column.
            num_axes: values that untold energies give at most.
        """

        width: int = 768
        hidden: int = 1536
        num_layers: int = 4
        bidirectional: bool = True
        is_residual: bool = False
        num_mel_bins: int = 0
        stack_factor: int = 1
        num_bands: int = 8
        num_axes: int = 48

        @property
        def untold_width(self) -> int:
            """Values that untold energies give."""
            return min(self.num_axes, self.width)

        @property
        def untold(self) -> UntoldEnergies.Config:
            """Sizes of untold energies."""
            return UntoldEnergies.Config(
                width=self.width,
                num_mel_bins=self.num_mel_bins,
                stack_factor=self.stack_factor,
                num_bands=self.num_bands,
                num_axes=self.untold_width,
                neighbor_width=min(NEIGHBOR_WIDTH, self.width // self.stack_factor),
            )

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        sees_mel = config.is_residual and config.num_mel_bins > 0
        self.lstm = nn.LSTM(
            2 * config.width + (config.untold_width if sees_mel else 0),
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
            self.residual = UntoldEnergies(config.untold) if sees_mel else _same(config)

    def forward(
        self,
        features: Float[Tensor, "B L D"],
        quantized: Float[Tensor, "B L D"],
        mel: Float[Tensor, "B T M"] | None = None,
    ) -> Float[Tensor, "B L D"]:
        """Return the acoustic feature of every position, before quantization.

        Args:
            features: stacked AudioMAE features, padded positions marked.
            quantized: their semantic centroids, padded positions marked.
            mel: log-mel spectrogram of the positions, where `num_mel_bins` asks for it.
        Source: paper Eq. 2; the linear map without bias is the release's.
        """
        seen, residual = [features, quantized], None
        if self.residual is not None:
            residual = self.residual_vectors(features, quantized, mel)
            if mel is not None:
                seen.append(residual)
        hidden, _ = self.lstm(torch.cat(seen, dim=-1))
        return self.project_out(hidden, residual)

    def residual_vectors(
        self,
        features: Float[Tensor, "B L D"],
        quantized: Float[Tensor, "B L D"],
        mel: Float[Tensor, "B T M"] | None = None,
    ) -> Float[Tensor, "B L A"]:
        """Return what the LSTM's outputs are added to, A = D, or values of untold energies.

        Args:
            features: as for `forward`, and so are the others.
            quantized: semantic centroids.
            mel: log-mel spectrogram.
        """
        if isinstance(self.residual, UntoldEnergies):
            assert mel is not None
            return self.residual(quantized, mel)
        assert self.residual is not None
        return self.residual(features - quantized)

    def project_out(
        self, hidden: Float[Tensor, "B L D2"], residual: Float[Tensor, "B L A"] | None = None
    ) -> Float[Tensor, "B L D"]:
        """Return the features of the LSTM's outputs.

        Args:
            hidden: outputs of the LSTM.
            residual: result of `residual_vectors`.
        """
        acoustic = self.project(hidden)
        return acoustic if residual is None else acoustic + self.as_wide(residual)

    def as_wide(self, residual: Float[Tensor, "B L A"]) -> Float[Tensor, "B L D"]:
        """Return residual vectors as wide as features."""
        return (
            self.residual.as_cells(residual)
            if isinstance(self.residual, UntoldEnergies)
            else residual
        )


def _same(config: AcousticEncoder.Config) -> nn.Linear:
    linear = nn.Linear(config.width, config.width, bias=False)
    nn.init.eye_(linear.weight)
    return linear

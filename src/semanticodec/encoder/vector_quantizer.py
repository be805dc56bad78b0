"""Acoustic quantizer: a codebook that follows the encoder by exponential moving averages.

    x [B, L, D] -> (project_in) -> (unit length) -> nearest code -> codes [B, L]
                                                        |-> (project_out) -> quantized [B, L, D]

Plain Euclidean codes of the full width are the release's; the parts in brackets, starting from
the data, revival and the entropy term are cures for codebooks that collapse in training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.encoder.nearest import NearestSearch, check_codes, squared_distances
from semanticodec.encoder.quantizer import (
    Quantizer,
    QuantizerOutput,
    count_codes,
    principal_axes,
)
from semanticodec.errors import ConfigError
from semanticodec.layers.processes import gather_rows, sum_over_processes, world_size


class VectorQuantizer(Quantizer):
    """EMA vector quantizer (paper Eq. 3 and 4), always float32, also under autocast.

    Buffers:
        embed: code vectors [K, W], W = code_width or width.
        embed_avg: moving sum of the vectors that chose each code [K, W].
        cluster_size: moving number of vectors that chose each code [K].
        initted: [1], 0 until a codebook that starts from the data has seen some.
    """

    # Counts pass the 65 504 that float16 ends at.
    full_precision: ClassVar[tuple[str, ...]] = ("cluster_size",)

    embed: Tensor
    embed_avg: Tensor
    cluster_size: Tensor
    initted: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Defaults are the release's.

        Attributes:
            width: D of the vectors that come in and go out.
            codebook_size: K.
            code_width: search among codes of this width, between two linear maps; None searches
                the vectors themselves.
            l2_normalize: codes and vectors have unit length (cosine similarity).
            decay: decay of the moving averages, per training step.
            smoothing: Laplace count added to every code before sums become means.
            commitment_weight: weight of Eq. 4, as a mean over positions and code width.
            initialize_from_data: k-means on the first training batch instead of random codes.
            kmeans_iterations: number of iterations of that k-means.
            revival_threshold: a code is dead, and moves to a vector of the batch, where its
                moving count is below this share of the mean count of all codes; 0 keeps all.
            entropy_weight: weight of the entropy term; 0 switches it off.
            entropy_temperature: temperature of its soft assignment, in squared code distance.
            entropy_positions: positions per item that it looks at (memory: B x this x K).
        """

        width: int = 768
        codebook_size: int = 8192
        code_width: int | None = None
        l2_normalize: bool = False
        decay: float = 0.9
        smoothing: float = 1e-5
        commitment_weight: float = 1.0
        initialize_from_data: bool = False
        kmeans_iterations: int = 10
        revival_threshold: float = 0.0
        entropy_weight: float = 0.0
        entropy_temperature: float = 0.1
        entropy_positions: int = 64

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        if not 0 <= config.decay < 1:
            raise ConfigError(f"a codebook decay of {config.decay} is outside [0, 1); try 0.9")
        width = config.code_width or config.width
        projects = config.code_width is not None
        self.nearest = NearestSearch()
        self.project_in = nn.Linear(config.width, width) if projects else nn.Identity()
        self.project_out = nn.Linear(width, config.width) if projects else nn.Identity()
        embed = self._constrain(torch.randn(config.codebook_size, width) / math.sqrt(width))
        self.register_buffer("embed", embed)
        self.register_buffer("embed_avg", embed.clone())
        self.register_buffer("cluster_size", torch.ones(config.codebook_size))
        self.register_buffer("initted", torch.tensor([float(not config.initialize_from_data)]))

    @property
    def starts_from_vectors(self) -> bool:
        """Whether the projections or the codebook start from the data."""
        return self.config.code_width is not None or self.config.initialize_from_data

    def encode(self, vectors: Float[Tensor, "B L D"]) -> Int[Tensor, "B L"]:
        """Return the index of the nearest code for every position, the lowest of equals.

        Args:
            vectors: the acoustic encoder's output.
        Source: paper Eq. 3.
        """
        return self.nearest(self._to_code_space(vectors), self.embed)

    def decode(self, codes: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """Return the quantized vector of every code.

        Args:
            codes: integers in [0, codebook_size).
        Raises:
            CodesError: a code outside the codebook.
        """
        check_codes(codes, self.config.codebook_size, "acoustic")
        return self.from_code_space(F.embedding(codes, self.embed))

    def bypass(self, vectors: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Return what `decode` would give if every vector were a code: both maps, no search."""
        return self.from_code_space(self._to_code_space(vectors))

    def forward(
        self,
        vectors: Float[Tensor, "B L D"],
        generators: Sequence[torch.Generator] | None = None,
        mask: Bool[Tensor, "B L"] | None = None,
    ) -> QuantizerOutput:
        """Quantize; in training also pass gradients through and move the codebook.

        Every item draws from its own generator and counts alike, so that two processes with
        half a batch each do what one does with all of it. They need equal batch sizes.

        Args:
            vectors: the acoustic encoder's output.
            generators: one per item; needed in training where the configuration starts from the
                data, revives codes or has an entropy term.
            mask: True where a position counts for losses, statistics and the codebook; padded
                positions are quantized all the same. None counts all.
        Raises:
            ValueError: generators are needed and missing, or not one per item.
        Source: paper Eq. 3, 4; EMA and the straight-through gradient as in the release.
        """
        if mask is None:
            mask = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        inputs = self._to_code_space(vectors)
        draws = self._draw(inputs, generators) if self.training else None
        if self.training and draws is not None and not bool(self.initted):
            seeds = self._draw_rows(inputs.detach(), draws.log().masked_fill(~mask, -torch.inf))
            self._initialize(inputs.detach(), seeds, mask)
        codes = self.nearest(inputs, self.embed)
        chosen = F.embedding(codes, self.embed)
        errors = (inputs - chosen).square()  # the codebook is a buffer: gradients reach inputs only
        counts = self._count(codes, mask)
        entropy_loss = inputs.new_zeros(())
        if draws is not None and self.config.entropy_weight:
            entropy_loss = self.config.entropy_weight * self._entropy_term(inputs, draws, mask)
        if self.training:
            is_finite = self._follow(inputs.detach(), codes, counts, mask)
            if is_finite and draws is not None and self.config.revival_threshold:
                self._revive(inputs.detach(), errors.detach().sum(dim=-1), draws, mask)
            chosen = inputs + (chosen - inputs).detach()
        commitment_loss = self.config.commitment_weight * _item_mean(errors.mean(dim=-1), mask)
        return QuantizerOutput(
            quantized=self.from_code_space(chosen),
            codes=codes,
            losses={"commitment": commitment_loss, "entropy": entropy_loss},
        )

    @torch.no_grad()
    def start_from(self, vectors: Float[Tensor, "N D"], generator: torch.Generator) -> None:
        """Start the projections, then the codebook by k-means where it starts from the data.

        More vectors than the first batch of training has make a better start.

        Args:
            vectors: outputs of the untrained acoustic encoder for many windows.
            generator: chooses the first codes among them.
        """
        if self.config.code_width is not None:
            self._start_projections(vectors)
        if self.config.initialize_from_data:
            self.start_codebook(vectors, generator)

    def _start_projections(self, vectors: Float[Tensor, "N D"]) -> None:
        """Start the projections on the vectors' principal axes.

        The vectors point almost into one direction. Most codes of unit length would die early if
        they started there: their space starts whitened. Codes of any length lose nothing on the
        principal axes but the weakest of them.
        """
        project_in, project_out = self.project_in, self.project_out
        assert isinstance(project_in, nn.Linear) and isinstance(project_out, nn.Linear)
        axes, variances, mean = principal_axes(vectors, project_in.out_features)
        if self.config.l2_normalize:
            axes = variances.clamp_min(1e-12).rsqrt().unsqueeze(1) * axes
        else:
            project_out.weight.copy_(axes.T)
            project_out.bias.copy_(mean)
        project_in.weight.copy_(axes)
        project_in.bias.copy_(-(axes @ mean))

    @torch.no_grad()
    def start_codebook(self, vectors: Float[Tensor, "N D"], generator: torch.Generator) -> None:
        """Start the codebook alone, by k-means; see `start_from`."""
        inputs = self._to_code_space(vectors.unsqueeze(0))
        order = torch.randperm(len(vectors), generator=generator)[: self.config.codebook_size]
        mask = torch.ones(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        self._initialize(inputs, inputs[0, order.to(inputs.device)], mask)
        # Counts as of a batch with one vector per code: batches to come shall soon outweigh them.
        mean_size = self.cluster_size.mean()
        self.cluster_size /= mean_size
        self.embed_avg /= mean_size

    @torch.no_grad()
    def _initialize(
        self,
        inputs: Float[Tensor, "B L W"],
        seeds: Float[Tensor, "N W"],
        mask: Bool[Tensor, "B L"],
    ) -> None:
        """Start the codebook by k-means on vectors, from seeds among them.

        Where there are fewer seeds than codes, the rest starts at random and is soon dead:
        revival then fills it from the batches that follow.
        """
        self.embed[: len(seeds)] = seeds
        for _ in range(self.config.kmeans_iterations):
            codes = self.nearest(inputs, self.embed)
            counts, sums = self._count(codes, mask), self._sum(inputs, codes, mask)
            means = self._constrain(sums / counts.clamp_min(1).unsqueeze(1))
            self.embed.copy_(torch.where((counts > 0).unsqueeze(1), means, self.embed))
        counts = self._count(self.nearest(inputs, self.embed), mask)
        self.cluster_size.copy_(counts)
        self.embed_avg.copy_(self.embed * counts.unsqueeze(1))
        self.initted.fill_(1.0)

    def _to_code_space(self, vectors: Float[Tensor, "B L D"]) -> Float[Tensor, "B L W"]:
        with torch.autocast(vectors.device.type, enabled=False):
            return self._constrain(self.project_in(vectors.float()))

    def from_code_space(self, code_vectors: Float[Tensor, "B L W"]) -> Float[Tensor, "B L D"]:
        """Return vectors in the space of the codebook as wide as the decoder takes them."""
        with torch.autocast(code_vectors.device.type, enabled=False):
            return self.project_out(code_vectors)

    def _constrain(self, code_vectors: Tensor) -> Tensor:
        return F.normalize(code_vectors, dim=-1) if self.config.l2_normalize else code_vectors

    def _draw(
        self, inputs: Float[Tensor, "B L W"], generators: Sequence[torch.Generator] | None
    ) -> Float[Tensor, "B L"] | None:
        """Return a uniform number in (0, 1) per position, the same whatever the state is.

        In float64: among thousands of float32 draws some are equal, and their order is undefined.
        """
        config = self.config
        if not (config.initialize_from_data or config.revival_threshold or config.entropy_weight):
            return None
        batch, length = inputs.shape[:2]
        if generators is None or len(generators) != batch:
            given = "none" if generators is None else str(len(generators))
            raise ValueError(
                f"this quantizer draws random numbers in training: it needs {batch} generators, "
                f"one per item, and got {given}"
            )
        draws = [
            torch.rand(length, generator=generator, device=generator.device, dtype=torch.float64)
            for generator in generators
        ]
        return torch.stack([draw.to(inputs.device) for draw in draws]).clamp_min(1e-12)

    def _count(self, codes: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, " K"]:
        size = self.config.codebook_size
        # Outside training a process may be alone here, and must not wait for the others.
        if not self.training:
            return torch.bincount(codes[mask], minlength=size).float()
        return count_codes(codes, mask, size)

    def _sum(
        self, inputs: Float[Tensor, "B L W"], codes: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "K W"]:
        local = torch.zeros_like(self.embed).index_add_(0, codes[mask], inputs[mask])
        return sum_over_processes(local) if self.training else local

    @torch.no_grad()
    def _follow(
        self,
        inputs: Float[Tensor, "B L W"],
        codes: Int[Tensor, "B L"],
        counts: Float[Tensor, " K"],
        mask: Bool[Tensor, "B L"],
    ) -> bool:
        """Move every code toward the mean of the vectors that chose it (the EMA step).

        Vectors that are not finite are not followed, as the averages would never recover.

        Returns:
            Whether they were finite, in all processes.
        """
        sums = self._sum(inputs, codes, mask)
        if not bool(sums.isfinite().all()):
            return False
        step = 1 - self.config.decay
        self.cluster_size.lerp_(counts, step)
        self.embed_avg.lerp_(sums, step)
        total = self.cluster_size.sum()
        smoothing = self.config.smoothing
        smoothed = self.cluster_size + smoothing
        smoothed *= total / (total + len(self.cluster_size) * smoothing)
        # Below this count the mean would be mostly smoothing and draw the code toward zero.
        is_alive = (self.cluster_size > smoothing).unsqueeze(1)
        means = self._constrain(self.embed_avg / smoothed.clamp_min(1e-12).unsqueeze(1))
        self.embed.copy_(torch.where(is_alive, means, self.embed))
        return True

    @torch.no_grad()
    def _revive(
        self,
        inputs: Float[Tensor, "B L W"],
        errors: Float[Tensor, "B L"],
        draws: Float[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
    ) -> None:
        """Move dead codes to vectors of the batch, badly quantized ones more likely."""
        mean_size = self.cluster_size.mean()
        is_dead = self.cluster_size < self.config.revival_threshold * mean_size
        dead = is_dead.nonzero().flatten()
        # Largest log(u) / w: sampling without replacement in proportion to the weight w.
        priorities = draws.log() / errors.clamp_min(1e-12)
        rows = self._draw_rows(inputs, priorities.masked_fill(~mask, -torch.inf))
        dead = dead[: len(rows)]
        self.embed[dead] = rows[: len(dead)]
        # The mean count keeps a newcomer alive until batches have decided about it.
        self.cluster_size[dead] = mean_size
        self.embed_avg[dead] = rows[: len(dead)] * mean_size

    def _draw_rows(
        self, inputs: Float[Tensor, "B L W"], priorities: Float[Tensor, "B L"]
    ) -> Float[Tensor, "N W"]:
        """Return up to K vectors of all processes, highest priority first; -inf never."""
        limit = min(self.config.codebook_size, priorities.numel())
        top, index = priorities.flatten().topk(limit)
        top, rows = gather_rows(top), gather_rows(inputs.flatten(0, 1)[index])
        order = top.argsort(descending=True, stable=True)[: self.config.codebook_size]
        return rows[order[top[order] > -torch.inf]]

    def _entropy_term(
        self,
        inputs: Float[Tensor, "B L W"],
        draws: Float[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, ""]:
        """Return minus the share of log K that a soft code tells about its position, in [-1, 0].

        Low where single positions are sure of their code and the batch as a whole uses all codes.
        """
        num_positions = min(self.config.entropy_positions, inputs.shape[1])
        index = draws.masked_fill(~mask, -1.0).topk(num_positions, dim=1).indices
        picked = inputs.gather(1, index.unsqueeze(-1).expand(-1, -1, inputs.shape[-1]))
        is_valid = mask.gather(1, index)
        with torch.autocast(inputs.device.type, enabled=False):
            distances = squared_distances(picked.flatten(0, 1), self.embed.clone())
        log_soft = (-distances / self.config.entropy_temperature).log_softmax(dim=-1)
        log_soft = log_soft.unflatten(0, index.shape)
        soft = log_soft.exp()
        own_entropy = _item_mean(-(soft * log_soft).sum(dim=-1), is_valid)
        weights = is_valid.float() / is_valid.sum(dim=1, keepdim=True).clamp_min(1)
        average = (soft * weights.unsqueeze(-1)).sum(dim=1).mean(dim=0)
        if world_size() > 1:
            over_all = sum_over_processes(average) / world_size()
            # The value over all processes, the gradient of this one's share: gradients are
            # averaged over the processes afterwards.
            average = average + (over_all - average).detach()
        batch_entropy = -(average * average.clamp_min(1e-12).log()).sum()
        return (own_entropy - batch_entropy) / math.log(self.config.codebook_size)


def _item_mean(values: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, ""]:
    """Average over the positions that count, then over items: every item weighs the same."""
    counted = values * mask
    return (counted.sum(dim=1) / mask.sum(dim=1).clamp_min(1)).mean()

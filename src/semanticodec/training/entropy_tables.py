"""Make the tables of `container.entropy` from codes: points, classes and two small networks.

Training is in floats; the result is rounded to integers. Shapes as in `container.entropy`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.codec import SemantiCodec
from semanticodec.codes import Codes
from semanticodec.container.entropy import (
    LOGIT_SCALE,
    NUM_COLUMN_KINDS,
    POINT_SCALE,
    STREAMS,
    WEIGHT_SCALE,
    class_counts,
    with_norm,
)
from semanticodec.container.neighbors import COPY_PLACES, NUM_INPUTS, POINT_SIZE, Neighbors
from semanticodec.errors import DataError
from semanticodec.token_format import TokenFormat

Tables = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class EntropyRecipe:
    """How tables are trained.

    Attributes:
        hidden: hidden values of each network, H; they make most of the time.
        epochs: passes over the codes.
        batch_size: positions per step.
        lr: highest learning rate.
        weight_decay: of the networks' weights.
        dropout: share of hidden values that are left out.
        seed: random seed.
    """

    hidden: int = 96
    epochs: int = 12
    batch_size: int = 256
    lr: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.1
    seed: int = 0


def train_tables(
    codes: Sequence[Codes],
    vectors: tuple[Float[Tensor, "K W"], Float[Tensor, "K2 W2"]],
    recipe: EntropyRecipe | None = None,
    report: Callable[[str, float], None] = lambda stream, bits: None,
) -> Tables:
    """Return tables by name, which `EntropyCoder` takes.

    Args:
        codes: recordings, the more and the more varied the better; an hour is a start.
        vectors: what the semantic and the acoustic codes stand for, one row per code.
        recipe: how to train.
        report: is told the bits per code of either stream after every epoch.
    Raises:
        DataError: no codes, or those of several models.
    """
    recipe = recipe or EntropyRecipe()
    if not codes:
        raise DataError("no codes to make tables of; give .smtc files of some hours of audio")
    format = codes[0].format
    for item in codes:
        if (item.format, item.fingerprint) != (format, codes[0].fingerprint):
            raise DataError(
                "codes of several models or settings cannot share tables: give those of one"
            )
    tables: Tables = {}
    for stream, rows, size in zip(STREAMS, vectors, format.vocab_sizes, strict=True):
        order, points = _points(rows.double().cpu().numpy(), size)
        tables[f"{stream}.codes"] = order.astype(np.uint16)
        tables[f"{stream}.points"] = points
    blocks = [block for item in codes for block in _blocks(item, tables)]
    for number, stream in enumerate(STREAMS):
        examples = _examples(blocks, tables, format, number)
        torch.manual_seed(recipe.seed)
        points = torch.from_numpy(tables[f"{stream}.points"].astype(np.float64))
        net = _Net(points, NUM_INPUTS[number], format.positions_per_column, recipe)
        _fit(net, examples, recipe, lambda bits, name=stream: report(name, bits))
        tables |= {f"{stream}.{name}": table for name, table in net.tables().items()}
    return tables


def code_vectors(codec: SemantiCodec) -> tuple[Float[Tensor, "K W"], Float[Tensor, "K2 W2"]]:
    """Return the vectors of a codec's semantic and acoustic codes, one row per code."""
    sizes = codec.semantic_vocab_size, codec.config.encoder.quantizer.codebook_size
    ids = torch.arange(max(sizes), device=codec.device)[None]
    with torch.no_grad():
        acoustic, semantic = codec.encoder.quantized(ids % sizes[0], ids % sizes[1], sizes[0])
    return semantic[0, : sizes[0]], acoustic[0, : sizes[1]]


def _points(vectors: NDArray[np.float64], size: int) -> tuple[NDArray, NDArray]:
    """Return codes in order of their classes, and the points of all, int8, in that order.

    The classes are the halves of halves along the longest axis, so that all are of one size.
    """
    if len(vectors) < size:  # no power of two: codes that never occur
        vectors = np.concatenate((vectors, np.repeat(vectors[-1:], size - len(vectors), 0)))
    centered = vectors - vectors.mean(0)
    axes = np.linalg.svd(centered.T @ centered)[0][:, :POINT_SIZE]
    points = centered @ axes
    points = np.pad(points, ((0, 0), (0, POINT_SIZE - points.shape[1])))
    groups = [np.arange(size)]
    while len(groups) < class_counts(size)[0]:
        groups = [half for group in groups for half in _halves(group, points)]
    order = np.concatenate(groups)
    spread = np.maximum(points.std(0), 1e-9)
    # Half of the way to equal spread: later axes matter less, but need their bits.
    scaled = points / np.sqrt(spread * spread.max()) / 2
    integers = np.rint(scaled * POINT_SCALE).clip(-127, 127).astype(np.int8)
    return order, integers[order]


def _halves(group: NDArray[np.int64], points: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    own = points[group] - points[group].mean(0)
    axis = np.linalg.svd(own.T @ own)[0][:, 0]
    order = group[np.argsort(own @ axis, kind="stable")]
    return [order[: len(order) // 2], order[len(order) // 2 :]]


def _blocks(codes: Codes, tables: Tables) -> list[list[NDArray[np.int64]]]:
    """Return the ranks of both streams for every block that a file of the codes would have."""
    window, bands = codes.format.positions_per_window, codes.format.positions_per_column
    ranks_of = [np.argsort(tables[f"{stream}.codes"]) for stream in STREAMS]
    blocks = []
    for item in codes:
        for start in range(0, item.semantic.shape[1], window):
            streams = item.stacked()[0, :, start : start + window].cpu().numpy()
            blocks.append(
                [
                    ranks[own].reshape(-1, bands)
                    for ranks, own in zip(ranks_of, streams, strict=True)
                ]
            )
    return blocks


@dataclass(frozen=True)
class _Examples:
    """All positions: inputs, place in the block, ranks met around them, and their own rank."""

    inputs: Int[Tensor, "N inputs"]
    place: Int[Tensor, " N"]  # column kind times bands plus band
    met: Int[Tensor, "N P"]
    rank: Int[Tensor, " N"]


def _examples(
    blocks: list[list[NDArray[np.int64]]], tables: Tables, format: TokenFormat, number: int
) -> _Examples:
    points = [tables[f"{stream}.points"].astype(np.float64) for stream in STREAMS]
    bands = format.positions_per_column
    inputs, places, met = [], [], []
    for ranks in blocks:
        neighbors = Neighbors(points, len(ranks[0]), bands)
        neighbors.put_all(ranks)
        inputs.append(neighbors.inputs(number).astype(np.int8).reshape(ranks[0].size, -1))
        kinds = np.minimum(np.arange(len(ranks[0])), NUM_COLUMN_KINDS - 1)
        places.append((kinds[:, None] * bands + np.arange(bands)).ravel())
        met.append(neighbors.met(number).reshape(ranks[0].size, -1))
    own = np.concatenate([ranks[number].ravel() for ranks in blocks])
    parts = (np.concatenate(inputs), np.concatenate(places), np.concatenate(met), own)
    return _Examples(*map(torch.from_numpy, parts))


class _Net(nn.Module):
    """The network of one stream in floats."""

    members: Tensor  # C M D+1

    def __init__(
        self, points: Float[Tensor, "K D"], num_inputs: int, num_bands: int, recipe: EntropyRecipe
    ) -> None:
        super().__init__()
        num_classes, num_members = class_counts(len(points))
        members = torch.from_numpy(with_norm(points.numpy())) / POINT_SCALE
        self.register_buffer("members", members.float().view(num_classes, num_members, -1))
        self.num_bands = num_bands
        self.hidden = nn.Linear(num_inputs, recipe.hidden, bias=False)
        self.hidden_bias = nn.Parameter(torch.zeros(NUM_COLUMN_KINDS * num_bands, recipe.hidden))
        self.dropout = nn.Dropout(recipe.dropout)
        self.classes = nn.Linear(recipe.hidden, num_classes)
        self.query = nn.Linear(recipe.hidden, POINT_SIZE + 1)
        self.member_bias = nn.Parameter(torch.zeros(num_classes, num_members))
        self.copies = nn.Parameter(torch.zeros(len(COPY_PLACES), 2))

    def forward(self, batch: _Examples) -> Float[Tensor, ""]:
        """Return the mean nats of a code."""
        num_members = self.member_bias.shape[1]
        own, member = batch.rank // num_members, batch.rank % num_members
        sums = self.hidden(batch.inputs.float() / POINT_SCALE) + self.hidden_bias[batch.place]
        hidden = self.dropout(F.relu(sums))
        is_met = batch.met >= 0
        classes = _plus(self.classes(hidden), batch.met // num_members, is_met, self.copies[:, 0])
        is_own = is_met & (batch.met // num_members == own[:, None])
        logits = torch.einsum("nd,nmd->nm", self.query(hidden), self.members[own])
        members = _plus(
            logits + self.member_bias[own], batch.met % num_members, is_own, self.copies[:, 1]
        )
        return F.cross_entropy(classes, own) + F.cross_entropy(members, member)

    def tables(self) -> Tables:
        """Return the weights as integers."""
        hidden_scale = POINT_SCALE * WEIGHT_SCALE
        logit_scale = LOGIT_SCALE * WEIGHT_SCALE
        bias = self.hidden_bias.view(NUM_COLUMN_KINDS, self.num_bands, -1)
        return {
            "hidden": _rounded(self.hidden.weight.T, WEIGHT_SCALE, np.int16),
            "hidden_bias": _rounded(bias, hidden_scale, np.int32),
            "classes": _rounded(self.classes.weight.T, WEIGHT_SCALE, np.int16),
            "class_bias": _rounded(self.classes.bias, logit_scale, np.int32),
            "query": _rounded(self.query.weight.T, WEIGHT_SCALE, np.int16),
            "query_bias": _rounded(self.query.bias, logit_scale, np.int32),
            "member_bias": _rounded(self.member_bias.flatten(), LOGIT_SCALE, np.int16),
            "copies": _rounded(self.copies, LOGIT_SCALE, np.int16),
        }


def _plus(
    logits: Float[Tensor, "N C"],
    places: Int[Tensor, "N P"],
    is_met: Tensor,
    bonus: Float[Tensor, " P"],
) -> Float[Tensor, "N C"]:
    """Return logits with the bonus of every place that was met."""
    return logits.scatter_add(1, places * is_met, bonus.expand(len(logits), -1) * is_met)


def _rounded(values: Tensor, scale: int, kind: type[np.integer]) -> NDArray[np.generic]:
    limits = np.iinfo(kind)
    scaled = np.rint(values.detach().cpu().double().numpy() * scale)
    return np.ascontiguousarray(scaled.clip(limits.min, limits.max).astype(kind))


def _fit(
    net: _Net, examples: _Examples, recipe: EntropyRecipe, report: Callable[[float], None]
) -> None:
    decayed = [net.hidden.weight, net.classes.weight, net.query.weight]
    others = [value for value in net.parameters() if all(value is not known for known in decayed)]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.02},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr)
    num_steps = -(-len(examples.rank) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, total_steps=recipe.epochs * num_steps + 1, pct_start=0.05
    )
    net.train()
    for _ in range(recipe.epochs):
        total = 0.0
        for rows in torch.randperm(len(examples.rank)).split(recipe.batch_size):
            loss = net(
                _Examples(
                    examples.inputs[rows],
                    examples.place[rows],
                    examples.met[rows],
                    examples.rank[rows],
                )
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        report(total / len(examples.rank) / float(np.log(2)))
    net.eval()

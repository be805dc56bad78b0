"""Train the model, and set it beside counts of ids and of pairs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from transformers import GPT2LMHeadModel

from examples.language_model.baselines import Bigram, Unigram, losses
from examples.language_model.model import layout_of, log_probability, make_model, save_model
from examples.language_model.sequences import Rows, codec_of, open_corpus, rows_of
from semanticodec.files import write_json
from semanticodec.progress import ProgressBar


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the model is trained.

    Attributes:
        width: width of the model, a multiple of 32.
        depth: number of its blocks.
        epochs: passes over the corpus.
        batch_size: rows per step.
        lr: learning rate after the warm-up of a tenth of the steps; a cosine takes it to 0.
        seed: random seed of weights, order and dropout.
    """

    width: int = 128
    depth: int = 3
    epochs: int = 3
    batch_size: int = 8
    lr: float = 2e-3
    seed: int = 0


def train(
    corpus: Path, valid: Path, out: Path, settings: Settings, model: str | None = None
) -> dict[str, Any]:
    """Train on a corpus; keep what does best on another, and its losses in `losses.json`.

    Args:
        corpus: folder of `semanticodec tokenize` with the pieces to learn.
        valid: the same with those to measure with.
        out: folder of the model.
        settings: settings of the training.
        model: codec of both, see `codec_of`.
    Returns:
        The content of `losses.json`: nats per id on `valid`, of counts and by epoch.
    """
    pieces = open_corpus(corpus)
    codec = codec_of(pieces, model)
    layout = layout_of(codec)
    learned, held_out = (rows_of(each, codec, layout) for each in (pieces, open_corpus(valid)))
    vocab_sizes = codec.format.vocab_sizes
    unigram = Unigram(learned, vocab_sizes)
    band_distance = codec.format.positions_per_column
    counts = {
        "unigram": unigram,
        "bigram": Bigram(learned, unigram),
        "bigram of the band": Bigram(learned, unigram, band_distance),
    }
    report: dict[str, Any] = {
        "ids": {"learned": _count(learned), "held out": _count(held_out)},
        "counts": {
            name: losses(each.log_probability(held_out), held_out) for name, each in counts.items()
        },
        "model": [],
    }
    torch.manual_seed(settings.seed)
    num_places = 1 + int(max(learned.places.max(), held_out.places.max()))
    gpt = make_model(codec, num_places, width=settings.width, depth=settings.depth)
    started = time.monotonic()
    for step, epoch in _epochs(gpt, learned, settings, vocab_sizes):
        found = losses(_predicted(gpt, held_out, settings.batch_size, vocab_sizes), held_out)
        seconds = round(time.monotonic() - started, 1)
        report["model"].append({"epoch": epoch, "step": step, "seconds": seconds, **found})
        if found["both"] == min(each["both"] for each in report["model"]):
            save_model(gpt, out)
        write_json(out / "losses.json", report)
    return report


def _count(rows: Rows) -> int:
    return int((rows.streams >= 0).sum())


@torch.inference_mode()
def _predicted(
    model: GPT2LMHeadModel, rows: Rows, batch_size: int, vocab_sizes: tuple[int, int]
) -> Float[Tensor, "B N"]:
    """Return `log_probability` of all rows, some at a time."""
    model.eval()
    width = rows.ids.shape[1]
    parts = [rows.batch(part) for part in torch.arange(len(rows.ids)).split(batch_size)]
    found = [log_probability(model, part, vocab_sizes) for part in parts]
    return torch.cat([F.pad(part, (0, width - part.shape[1])) for part in found])


def _epochs(
    model: GPT2LMHeadModel, rows: Rows, settings: Settings, vocab_sizes: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """Train; yield the number of steps and of epochs before the first and after every epoch."""
    order = torch.Generator().manual_seed(settings.seed)
    per_epoch = -(-len(rows.ids) // settings.batch_size)
    total = per_epoch * settings.epochs
    optimizer = torch.optim.AdamW(model.parameters(), settings.lr, (0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total, pct_start=0.1)
    yield 0, 0
    for epoch in range(settings.epochs):
        model.train()
        batches = rows.batches(settings.batch_size, order)
        for indices in ProgressBar(batches, label=f"epoch {epoch + 1}", unit="step"):
            batch = rows.batch(indices)
            with torch.autocast("cpu", torch.bfloat16):
                found = log_probability(model, batch, vocab_sizes)
            loss = -found.sum() / (batch.streams >= 0).sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        yield per_epoch * (epoch + 1), epoch + 1

"""The language model: GPT-2 of transformers, whose embeddings start as the codebooks."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from examples.language_model.sequences import Rows
from semanticodec import SemantiCodec
from semanticodec.lm import SemanticFirst


def layout_of(codec: SemantiCodec) -> SemanticFirst:
    """Return the order of the ids: all semantic codes, then all acoustic ones."""
    return SemanticFirst(codec.format, fingerprint=codec.model_fingerprint)


def make_model(codec: SemantiCodec, num_places: int, *, width: int, depth: int) -> GPT2LMHeadModel:
    """Return an untrained model.

    Args:
        codec: codec whose codes it learns; the model's configuration names it.
        num_places: places that it knows, see `Rows`.
        width: width of the embeddings, a multiple of 32.
        depth: number of blocks.
    """
    layout = layout_of(codec)
    known = layout.vocabulary
    config = GPT2Config(
        vocab_size=layout.vocab_size,
        n_positions=num_places,
        n_embd=width,
        n_layer=depth,
        n_head=width // 32,
        bos_token_id=known.begin,
        eos_token_id=known.end,
        pad_token_id=known.pad,
    )
    names = ("token_rate", "semantic_vocab_size")
    config.update({"codec": {name: getattr(codec, name) for name in names}})
    model = GPT2LMHeadModel(config)
    _start_from_codebooks(model, codec)
    return model


@torch.no_grad()
def _start_from_codebooks(model: GPT2LMHeadModel, codec: SemantiCodec) -> None:
    """Give codes that sound alike embeddings that are alike: most codes are rarely seen."""
    encoder = codec.encoder
    semantic = encoder.semantic.codebook(codec.semantic_vocab_size)
    acoustic = encoder.quantizer.decode(torch.arange(codec.acoustic_vocab_size)[None])[0]
    table = _embeddings(model)
    scale = model.config.initializer_range
    first = 0
    for vectors in (semantic, acoustic):
        known = _principal(vectors, table.shape[1])
        table[first : first + len(known), : known.shape[1]] = scale * known / known.std()
        first += len(known)


def _embeddings(model: GPT2LMHeadModel) -> Float[Tensor, "V D"]:
    return cast("nn.Embedding", model.get_input_embeddings()).weight


def _principal(vectors: Float[Tensor, "V D"], width: int) -> Float[Tensor, "V D2"]:
    """Return the `width` largest principal components of vectors."""
    centered = vectors - vectors.mean(dim=0)
    _, axes = torch.linalg.eigh(centered.T @ centered)  # ascending
    return centered @ axes.flip(1)[:, :width]


def save_model(model: GPT2LMHeadModel, folder: Path) -> None:
    """Write the model; `GPT2LMHeadModel.from_pretrained(folder)` reads it as well."""
    model.save_pretrained(folder)


def load_model(folder: Path, source: str | None = None) -> tuple[GPT2LMHeadModel, SemantiCodec]:
    """Return a trained model and its codec.

    Args:
        folder: folder that `save_model` wrote.
        source: model folder or Hub id of the codec; None for the built-in model.
    """
    model = GPT2LMHeadModel.from_pretrained(folder)
    return model.eval(), SemantiCodec.from_pretrained(source, **model.config.codec)


def log_probability(
    model: GPT2LMHeadModel, rows: Rows, vocab_sizes: tuple[int, int]
) -> Float[Tensor, "B N"]:
    """Return the log probability of every code after all ids before it; 0 at special tokens.

    The layout says which stream is next, so a code competes with those of its stream alone: that
    is half the work of a softmax over all ids.

    Args:
        model: the language model.
        rows: rows of ids.
        vocab_sizes: sizes of the two streams.
    """
    hidden = model.transformer(
        input_ids=rows.ids[:, :-1], position_ids=rows.places[:, :-1]
    ).last_hidden_state
    tables = _embeddings(model)[: sum(vocab_sizes)].split(vocab_sizes)
    found = torch.zeros(hidden.shape[:2])
    for stream, (table, first) in enumerate(zip(tables, (0, vocab_sizes[0]))):
        is_next = rows.streams[:, 1:] == stream
        targets = rows.ids[:, 1:][is_next] - first
        logits = hidden[is_next] @ table.T
        loss = F.cross_entropy(logits.float(), targets, reduction="none")
        found = found.masked_scatter(is_next, -loss)
    return F.pad(found, (1, 0))

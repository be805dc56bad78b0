"""Go on where a recording stops, as AudioLM does: semantic codes first, then acoustic ones.

begin, the prompt's semantic codes -> more semantic codes -> boundary, the prompt's acoustic codes
    -> more acoustic codes, each of which sees all semantic ones
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import GPT2LMHeadModel

from semanticodec import Codes
from semanticodec.lm import SemanticFirst


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How codes are drawn.

    Attributes:
        temperature: divides the logits; below 1 the likely codes become likelier.
        top_k: number of likeliest codes to draw from.
        seed: random seed of the draws.
    """

    temperature: float = 0.9
    top_k: int = 50
    seed: int = 0


def continue_codes(
    model: GPT2LMHeadModel,
    layout: SemanticFirst,
    prompt: Codes,
    num_positions: int,
    drawing: Drawing,
) -> Codes:
    """Return the prompt's codes and those behind them.

    Args:
        model: trained with the layout.
        layout: order of the ids.
        prompt: codes of one recording.
        num_positions: length of the result, whole columns.
        drawing: settings of the draws.
    """
    known = layout.vocabulary
    semantic, acoustic = known.ids(prompt.stacked()[0])
    row = _Row(model, drawing)
    row.add(torch.tensor([known.begin]), first_place=0)
    row.add(semantic)
    row.draw(_ids_of(layout, 0), num_positions)
    row.add(torch.tensor([known.acoustic]), first_place=0)
    row.add(acoustic)
    row.draw(_ids_of(layout, 1), num_positions)
    return layout.decode(row.ids[None])


def _ids_of(layout: SemanticFirst, stream: int) -> range:
    first = layout.vocabulary.first_of(stream)
    return range(first, first + layout.format.vocab_sizes[stream])


class _Row:
    """Ids that grow; places count from 1 behind every special token, see `Rows`."""

    def __init__(self, model: GPT2LMHeadModel, drawing: Drawing) -> None:
        self.model = model
        self.drawing = drawing
        self.generator = torch.Generator().manual_seed(drawing.seed)
        self.ids = torch.empty(0, dtype=torch.int64)
        self.places = torch.empty(0, dtype=torch.int64)

    def add(self, ids: Int[Tensor, " N"], first_place: int = 1) -> None:
        """Append given ids."""
        places = torch.arange(first_place, first_place + len(ids))
        self.ids, self.places = torch.cat((self.ids, ids)), torch.cat((self.places, places))

    @torch.inference_mode()
    def draw(self, allowed: range, last_place: int) -> None:
        """Append drawn ids up to a place."""
        while (place := int(self.places[-1])) < last_place:
            output = self.model(input_ids=self.ids[None], position_ids=self.places[None])
            logits = output.logits[0, -1, allowed.start : allowed.stop] / self.drawing.temperature
            best, codes = logits.topk(min(self.drawing.top_k, len(allowed)))
            drawn = torch.multinomial(best.softmax(dim=0), 1, generator=self.generator)
            self.add(allowed.start + codes[drawn], first_place=place + 1)

"""Codes as the ids of language models, and back.

    layout = Interleaved(codec.format, fingerprint=codec.model_fingerprint)
    ids = layout.encode(codes)      # [B, N], a model with layout.vocab_size ids learns them
    codes = layout.decode(ids)      # of what it generates, whole or not

A layout is its file and a line in `LAYOUTS`.
"""

from semanticodec.lm.delayed import Delayed
from semanticodec.lm.domains import SemanticDomains
from semanticodec.lm.flattened import Flattened
from semanticodec.lm.interleaved import Interleaved
from semanticodec.lm.layout import Layout
from semanticodec.lm.places import Places
from semanticodec.lm.semantic_first import SemanticFirst
from semanticodec.lm.semantic_only import SemanticOnly
from semanticodec.lm.vocabulary import Vocabulary

__all__ = [
    "LAYOUTS",
    "Delayed",
    "Flattened",
    "Interleaved",
    "Layout",
    "Places",
    "SemanticDomains",
    "SemanticFirst",
    "SemanticOnly",
    "Vocabulary",
]

LAYOUTS: dict[str, type[Layout]] = {
    layout.name: layout for layout in (Interleaved, Flattened, SemanticOnly, SemanticFirst, Delayed)
}

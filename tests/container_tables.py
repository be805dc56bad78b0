"""Tables for entropy coding that mean little, the same on every machine."""

import numpy as np

from semanticodec.container.entropy import EntropyCoder, table_shapes
from semanticodec.token_format import TokenFormat

HIDDEN = 5


def pattern_tables(format: TokenFormat, step: int = 7919) -> dict[str, np.ndarray]:
    """Return tables of small numbers that look random."""
    tables = {}
    for name, (kind, shape) in table_shapes(format).items():
        sizes = tuple(HIDDEN if size is None else size for size in shape)
        numbers = np.arange(np.prod(sizes), dtype=np.int64)
        if name.endswith(".codes"):
            values = numbers[::-1]
        else:
            values = numbers * step % 119 - 59
        if name.endswith(".copies"):
            values[:2] = 1000  # 4 nats for a code that stays
        tables[name] = values.reshape(sizes).astype(kind)
    return tables


def pattern_coder(format: TokenFormat, step: int = 7919) -> EntropyCoder:
    """Return a coder that expects codes to stay as they are, and nothing else."""
    return EntropyCoder(format, pattern_tables(format, step))

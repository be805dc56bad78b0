"""The table of acoustic quantizers; `quantizer.py` says what is asked of one."""

from __future__ import annotations

from collections.abc import Mapping

from semanticodec.encoder.finite_scalar_quantizer import FiniteScalarQuantizer
from semanticodec.encoder.quantizer import Quantizer, QuantizerConfig
from semanticodec.encoder.vector_quantizer import VectorQuantizer

# Names as config.json has them.
QUANTIZERS: Mapping[str, type[Quantizer]] = {
    "vector": VectorQuantizer,
    "finite_scalar": FiniteScalarQuantizer,
}


def make_quantizer(config: QuantizerConfig) -> Quantizer:
    """Return the quantizer that a configuration describes."""
    [kind] = [kind for kind in QUANTIZERS.values() if type(config) is kind.Config]
    return kind(config)

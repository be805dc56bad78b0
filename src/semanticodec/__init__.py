"""SemantiCodec: an ultra low bitrate semantic audio codec for general sound (arXiv 2405.00233).

    from semanticodec import SemantiCodec
    codec = SemantiCodec.from_pretrained()
    codes = codec.encode("speech.wav")
    wav = codec.decode(codes)

Names load on first use, so that `semanticodec.container` and the command line start without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semanticodec.codec import SemantiCodec
    from semanticodec.codes import Codes

__version__ = "0.1.0"
__all__ = ["Codes", "SemantiCodec", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "SemantiCodec":
        from semanticodec.codec import SemantiCodec

        return SemantiCodec
    if name == "Codes":
        from semanticodec.codes import Codes

        return Codes
    raise AttributeError(f"module 'semanticodec' has no attribute {name!r}")

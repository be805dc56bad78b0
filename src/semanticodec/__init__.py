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
    from semanticodec.decoder.sampling import SamplingConfig
    from semanticodec.streaming import StreamDecoder
    from semanticodec.token_format import TokenFormat

__version__ = "0.1.0"
__all__ = ["Codes", "SamplingConfig", "SemantiCodec", "StreamDecoder", "TokenFormat", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "SemantiCodec":
        from semanticodec.codec import SemantiCodec

        return SemantiCodec
    if name == "Codes":
        from semanticodec.codes import Codes

        return Codes
    if name == "SamplingConfig":
        from semanticodec.decoder.sampling import SamplingConfig

        return SamplingConfig
    if name == "StreamDecoder":
        from semanticodec.streaming import StreamDecoder

        return StreamDecoder
    if name == "TokenFormat":
        from semanticodec.token_format import TokenFormat

        return TokenFormat
    raise AttributeError(f"module 'semanticodec' has no attribute {name!r}")

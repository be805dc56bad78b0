"""The encoder's modules (paper Sec. III-B, III-C): filter bank -> semantic and acoustic codes."""

from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.encoder import Encoder, EncoderOutput

__all__ = ["AudioMAE", "Encoder", "EncoderOutput"]

"""Network parts that several modules share: attention, residual blocks and fixed embeddings."""

from semanticodec.layers.attention import Attention, SpatialTransformer
from semanticodec.layers.residual import Downsample, ResidualBlock, Upsample

__all__ = ["Attention", "Downsample", "ResidualBlock", "SpatialTransformer", "Upsample"]

"""The decoder's boxes (paper Sec. III-D): codes -> context -> latent diffusion -> mel -> wav."""

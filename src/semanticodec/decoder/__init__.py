"""The decoder's modules (paper Sec. III-D): codes -> context -> latent diffusion -> mel -> wav."""

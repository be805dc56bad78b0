"""Network parts that several modules share: attention, residual blocks and fixed embeddings."""

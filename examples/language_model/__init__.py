"""A small language model of codes, which goes on where a recording stops; see README.md."""

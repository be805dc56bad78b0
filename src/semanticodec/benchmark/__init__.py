"""How fast a model is on this machine: seconds of encoding and decoding, module by module."""

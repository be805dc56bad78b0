"""Inputs that nobody would write: what `make fuzz` looks for, and what it has found so far.

    container   bytes for a stream of codes
    config      a model folder's config.json
    manifests   tables of recordings, and the files that a corpus is made by

A target is a function of bytes that raises where the package breaks its word. `corpus/` has, for
each target, a zip of inputs that together reach all code that was ever reached; the tests replay
them.
"""

"""Whole corpora: recordings from many sources to codes in the formats that people train with."""

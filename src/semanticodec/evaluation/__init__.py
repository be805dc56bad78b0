"""Measuring codecs: the experiments of the paper's Sections IV and V."""

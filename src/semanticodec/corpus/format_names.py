"""The names of the output formats, for the command line, which starts without torch."""

from __future__ import annotations

FORMAT_NAMES = ("webdataset", "parquet", "shar", "kaldi", "npy", "jsonl", "nemo")
DEFAULT_FORMAT = "parquet"

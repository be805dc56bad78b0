"""What a corpus holds: hours, tokens, and how evenly its codes use the vocabularies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from semanticodec.corpus.description import SECONDS_PER_HOUR, read_description
from semanticodec.corpus.formats import read_corpus
from semanticodec.corpus.formats.fields import MOST_CODES
from semanticodec.errors import DataError
from semanticodec.token_format import NUM_STREAMS

STREAMS = ("semantic", "acoustic")


def summarize(folder: Path) -> dict[str, Any]:
    """Read a whole corpus and return its figures by name.

    Args:
        folder: folder of a finished corpus.
    Returns:
        `model`, `fingerprint`, `formats`, `shards`, `recordings`, `hours`, `token_rate`, `tokens`
        of both streams, and of each stream its `_vocab_size`, `_codes_used` and `_entropy_bits`:
        the entropy of single codes, log2 of the vocabulary at most.
    Raises:
        DataError: no corpus, a damaged one, or codes of several models in one.
    """
    about = read_description(folder)
    counts = {name: np.zeros(MOST_CODES, np.int64) for name in STREAMS}
    num_recordings = num_samples = 0
    for record in read_corpus(folder):
        num_recordings += 1
        num_samples += record.codes.num_samples[0]
        for name in STREAMS:
            if getattr(record.codes, f"{name}_vocab_size") != about[f"{name}_vocab_size"]:
                raise DataError(
                    f"{record.id!r} of {folder} has codes of another model than dataset.json "
                    "names; write the corpora of two models to two folders"
                )
            codes = getattr(record.codes, name)[0].numpy()
            counts[name] += np.bincount(codes, minlength=MOST_CODES)
    if (num_recordings, num_samples) != (about["num_recordings"], about["num_samples"]):
        raise DataError(
            f"{folder} holds {num_recordings} recordings of {num_samples} samples, its "
            f"dataset.json names {about['num_recordings']} of {about['num_samples']}; "
            "`semanticodec tokenize --verify` tells which files are wrong"
        )
    return {
        "model": about["model"],
        "fingerprint": about["fingerprint"],
        "formats": about["formats"],
        "shards": len(about["shards"]),
        "recordings": num_recordings,
        "hours": round(num_samples / about["sample_rate"] / SECONDS_PER_HOUR, 6),
        "token_rate": about["token_rate"],
        "tokens": NUM_STREAMS * int(counts["semantic"].sum()),
        **{
            key: figure
            for name in STREAMS
            for key, figure in _use(name, about[f"{name}_vocab_size"], counts[name]).items()
        },
    }


def _use(name: str, vocab_size: int, counts: np.ndarray) -> dict[str, Any]:
    """Return vocabulary, codes in use and entropy of a stream, by the counts of its codes."""
    used = counts[counts > 0]
    shares = used / max(used.sum(), 1)
    return {
        f"{name}_vocab_size": vocab_size,
        f"{name}_codes_used": len(used),
        f"{name}_entropy_bits": round(float(-(shares * np.log2(shares)).sum()), 4),
    }

"""Clips to make corpora of, and runs over them; shared by the tests of corpora."""

import numpy as np
import soundfile

from semanticodec.corpus import read_corpus
from semanticodec.corpus.plan import ShardLimits
from semanticodec.corpus.run import CorpusChoice
from semanticodec.corpus.worker import ModelChoice


def write_clips(folder, number, longest_s=2.0):
    """Write clips of mixed lengths, rates, channels and formats; some share a stem."""
    rng = np.random.default_rng(5)
    for at in range(number):
        path = folder / "abc"[at % 3] / f"{at // 3:03d}.{('wav', 'flac', 'ogg')[at % 7 % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        rate = (16_000, 22_050, 8_000)[at % 4 % 3]
        samples = 0.1 * rng.standard_normal((int(rng.uniform(0.05, longest_s) * rate), 1 + at % 2))
        soundfile.write(path, samples, rate)


def choice(clips, folder, tiny_folder, **settings):
    return CorpusChoice(
        sources=[str(clips)],
        folder=folder,
        model=ModelChoice(source=str(tiny_folder), device="cpu"),
        limits=ShardLimits(recordings=6),
        **{"formats": ["jsonl"], "jobs": 2, **settings},
    )


def codes_in(folder):
    """Return the codes of a corpus by id; no id comes twice."""
    records = list(read_corpus(folder))
    codes = {record.id: record.codes for record in records}
    assert len(codes) == len(records)
    return codes

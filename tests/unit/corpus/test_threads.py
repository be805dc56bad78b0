"""Workers share what there is to compute, and nothing is left behind when they stop."""

import threading

import numpy as np
import pytest
import soundfile

from corpus_runs import choice, codes_in
from semanticodec.corpus.run import tokenize
from semanticodec.corpus.threads import Stopped, run_in_threads
from semanticodec.encoding import WINDOWS_AT_ONCE, RecordingEncoder
from semanticodec.token_format import WINDOW_SAMPLES

PATIENCE_S = 120


def test_two_workers_share_one_long_recording(tiny_folder, tiny_codec, tmp_path, monkeypatch):
    wav = 0.1 * np.random.default_rng(4).standard_normal(2 * WINDOWS_AT_ONCE * WINDOW_SAMPLES)
    soundfile.write(tmp_path / "long.wav", wav, 16_000)
    alone = tiny_codec.encode(tmp_path / "long.wav")
    encode_batch = RecordingEncoder.encode_batch
    both = threading.Barrier(2)

    def at_one_time(self, windows):
        both.wait(PATIENCE_S)
        return encode_batch(self, windows)

    monkeypatch.setattr(RecordingEncoder, "encode_batch", at_one_time)
    tokenize(choice(tmp_path / "long.wav", tmp_path / "out", tiny_folder, jobs=2))
    assert codes_in(tmp_path / "out") == {"long": alone}


def test_an_error_stops_the_other_shards():
    ends = []

    def make(place, models, check):
        if place == 1:
            raise KeyError("here")
        try:
            while True:
                models.submit(threading.Event().wait, 0.01).result()
                check()
        except Stopped:
            ends.append(place)
            raise

    with pytest.raises(KeyError, match="here"):
        list(run_in_threads(make, range(5), jobs=2))
    assert 0 in ends
    assert not [each for each in threading.enumerate() if "ThreadPool" in each.name]

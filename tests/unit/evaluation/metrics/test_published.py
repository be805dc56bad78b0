"""Our numbers equal independent ones on outputs that authors of codecs published."""

import csv
import os
from pathlib import Path

import pytest
import soundfile

from semanticodec.evaluation.metrics.intelligibility import stoi
from semanticodec.evaluation.metrics.spectral import mel_distance, stft_distance
from semanticodec.evaluation.metrics.visqol import visqol_speech

FOLDER = Path(os.environ.get("SEMANTICODEC_DATA", "none"), "published")
TABLE = FOLDER / "expected.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines())) if TABLE.is_file() else []
SPOKEN = [row for row in ROWS if row["stoi"]]
FEW = [ROWS[index] for index in (31, 59)] if ROWS else []

pytestmark = pytest.mark.skipif(not ROWS, reason="SEMANTICODEC_DATA names no published/ folder")


def pair(row):
    """Reference and decoded clip of a row."""
    name = f"{row['domain']}/{row['clip']}"
    paths = FOLDER / "reference" / name, FOLDER / row["system"] / name
    wavs = [soundfile.read(path, dtype="float32")[0] for path in paths]
    assert all(len(wav) == int(row["num_samples"]) for wav in wavs)
    return wavs


def check(measure, column, rows, tolerance):
    different = {
        f"{row['system']}/{row['clip']}": (value, row[column])
        for row in rows
        if abs((value := measure(*pair(row))) - float(row[column])) > tolerance
    }
    assert rows
    assert not different


@pytest.mark.parametrize(("measure", "column"), [(mel_distance, "mel"), (stft_distance, "stft")])
def test_distances_of_all_clips(measure, column):
    check(measure, column, ROWS, 2e-5)


def test_intelligibility():
    pytest.importorskip("pystoi")
    check(stoi, "stoi", SPOKEN[::4], 1e-4)


def test_visqol_of_two_clips():
    pytest.importorskip("visqol")
    assert {row["domain"] for row in FEW} == {"music", "speech"}
    check(visqol_speech, "visqol_speech", FEW, 1e-4)


@pytest.mark.slow
def test_visqol_and_intelligibility_of_all_clips():
    pytest.importorskip("visqol")
    check(visqol_speech, "visqol_speech", ROWS, 1e-4)
    check(stoi, "stoi", SPOKEN, 1e-4)

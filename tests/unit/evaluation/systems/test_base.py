"""Specifications: what is written is read back, and every mistake is named with a way out."""

import contextlib
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.errors import ConfigError, SemantiCodecError
from semanticodec.evaluation.systems import open_system
from semanticodec.evaluation.systems.base import (
    Reconstruction,
    ReconstructionError,
    System,
    bits_per_code,
    fitted,
    resampled,
)
from semanticodec.evaluation.systems.specs import Spec, number, parse_spec

WORDS = st.text(st.characters(exclude_characters=",=@:", exclude_categories=["C", "Z"]), min_size=1)
VALUES = st.text(st.characters(exclude_characters=",", exclude_categories=["C", "Z"]), min_size=1)


@given(kind=WORDS, options=st.dictionaries(WORDS, VALUES))
def test_a_spec_reads_back_as_it_was_written(kind, options):
    spec = Spec(kind=kind, options=options)
    assert parse_spec(str(spec)) == spec


@given(st.text())
def test_any_text_is_a_spec_or_a_clear_error(text):
    with contextlib.suppress(ConfigError):
        assert parse_spec(text).kind in text


@given(st.text())
def test_any_text_is_a_number_or_a_clear_error(text):
    for kind in (int, float):
        with contextlib.suppress(ConfigError):
            assert 0 <= number("x", text, kind, low=0) < float("inf")


def test_every_part_is_found():
    spec = parse_spec("dac:books=9,path=runs/a@b:c=x=y,name=My DAC")
    assert spec.kind == "dac"
    assert spec.options == {"books": "9", "path": "runs/a@b:c=x=y", "name": "My DAC"}
    assert spec.label == "My DAC"


def test_names_hold_no_folders_but_the_last(tmp_path, monkeypatch):
    folder = tmp_path / "runs" / "best"
    folder.mkdir(parents=True)
    assert parse_spec(f"model:path={folder},steps=25").label == "model:path=best,steps=25"
    assert parse_spec(f"dac:path={folder}").label == "dac:path=best"
    assert parse_spec("model:path=owner/name,rate=50").label == "model:path=owner/name,rate=50"
    monkeypatch.chdir(folder)
    assert parse_spec("folder:path=../best").label == "folder:path=best"
    assert parse_spec("folder:path=.").label == "folder:path=best"
    monkeypatch.chdir(tmp_path)
    assert parse_spec(f"folder:path=runs{os.sep}best").label == "folder:path=best"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is incomplete; write KIND"),
        ("opus:", "is incomplete"),
        (":x=y", "is incomplete"),
        ("model:path=a,b", "'b' in the system 'model:path=a,b' is no key=value; commas separate"),
        ("model:steps=", "'steps=' in the system"),
        ("model:steps=2,steps=3", "gives steps twice"),
        ("mp3:kbps=64", "'mp3' does not exist; choose from model, oracle, .*opus, codec2"),
        ("opus", "lacks its kbps; write opus:kbps=KBPS"),
        ("folder", "lacks its path; write folder:path=PATH"),
        ("opus:kbps=6,path=x", "'opus' has no option 'path'; choose from name, kbps"),
        ("ground-truth:kbps=1", "'ground-truth' has no option 'kbps'; choose from name"),
        ("opus:kbps=6,steps=3", "'opus' has no option 'steps'; choose from name"),
        ("model:step=3", "no option 'step'; choose from name, path, rate, .*seed, dtype, .*steps"),
        ("opus:kbps=loud", "kbps is 'loud'; give a number from 6 to 256"),
        ("opus:kbps=5", "kbps is '5'"),
        ("codec2:mode=2400", "mode is '2400'; choose one of 700C, 1200, 3200"),
        ("speex:quality=11", "quality is '11'; give a whole number from 0 to 10"),
        ("model:steps=0", "steps is '0'; give a whole number from 1 to 1000"),
        ("model:steps=2.5", "steps is '2.5'; give a whole number"),
        ("model:guidance=nan", "guidance is 'nan'; give a number from 0"),
        ("model:eta=2", "eta is '2'; give a number from 0 to 1"),
        ("model:seed=-1", "seed is '-1'; give a whole number from 0"),
        ("model:sampler=euler", "sampler is 'euler'; choose one of ddim"),
        ("model:quality=hifi", "quality is 'hifi'; choose one of draft, standard, best"),
        ("model:interval=0.5", "interval=LOW-HIGH is ''; give a number from 0.5 to 1"),
        ("model:interval=0.5-0.4", "interval=LOW-HIGH is '0.4'; give a number from 0.5 to 1"),
        ("model:rate=75", "no 75 tokens per second; it offers"),
        ("model:vocab=5", "semantic_vocab_size is 5; this model offers"),
        ("folder:path=nowhere", "nowhere is no folder"),
        ("dac:path=nowhere", "path=nowhere is no folder"),
    ],
)
def test_mistakes_say_what_is_allowed(text, message):
    with pytest.raises(ConfigError, match=message):
        open_system(text)


def test_a_system_never_gives_nan(clip):
    class Broken(System):
        def process(self, wav, clip):
            return Reconstruction(wav=wav * np.float32("nan"), num_bits=None)

    with pytest.raises(ReconstructionError, match="NaN or infinite"):
        Broken(parse_spec("broken"), {}).reconstruct(np.ones(4, np.float32), clip)
    assert issubclass(ReconstructionError, SemantiCodecError)


def test_fitting_and_resampling_keep_lengths_and_tones():
    assert fitted(np.arange(3), 5).tolist() == [0, 1, 2, 0, 0]
    assert fitted(np.arange(3), 2).tolist() == [0, 1]
    tone = np.sin(2 * np.pi * 440 * np.arange(16_001) / 16_000).astype(np.float32)
    there = resampled(tone, 16_000, 24_000)
    back = resampled(there, 24_000, 16_000)
    assert len(there) == 24_002 and there.dtype == np.float32
    assert np.abs(back[500:15_500] - tone[500:15_500]).max() < 2e-3


def test_bits_of_a_code_are_log2():
    assert [bits_per_code(size) for size in (2, 1024, 8192, 32768)] == [1, 10, 13, 15]

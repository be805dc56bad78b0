"""A test folder holds what was asked for, equally long and loud, and never replaces ratings."""

import json

import numpy as np
import pytest
import soundfile

from evaluation_fakes import open_faulty, write_clip
from listening_tests import LISTENER, SYSTEMS, make_test, write_suite
from semanticodec.errors import ConfigError, DataError, OutputExistsError
from semanticodec.evaluation.suites import open_suite
from semanticodec.listening.build import BuildSettings, build
from semanticodec.listening.loudness import loudness
from semanticodec.listening.plan import ABX, read_plan


def sounds(test, page):
    found = test.plan.pages[page].sounds
    return {name: soundfile.read(test.folder / path)[0] for name, path in found.items()}


def build_here(suite, out, specs=SYSTEMS, overwrite=False, **settings):
    options = BuildSettings(**settings)
    return build(suite, specs, out, options, open_system=open_faulty, overwrite=overwrite)


def test_a_page_has_every_condition_at_one_length_and_loudness(tmp_path):
    test = make_test(tmp_path)
    assert test.plan.names == ["reference", "anchor 3.5 kHz", "anchor 7 kHz", "one", "half"]
    assert [page.clip for page in test.plan.pages] == [
        *("music/0", "music/1", "music/2"),
        *("speech/0", "speech/1", "speech/2"),
    ]
    wavs = sounds(test, 1)
    assert {len(wav) for wav in wavs.values()} == {8000}
    assert [loudness(wav.astype(np.float32)) for wav in wavs.values()] == pytest.approx(
        [-23.0] * 5, abs=0.05
    )
    # A system that is softer by half is not heard to be.
    assert wavs["half"] == pytest.approx(wavs["reference"], abs=1e-4)
    assert test.plan.conditions[4].kbps == pytest.approx(1.6)


def test_clips_are_cut_and_fade_at_both_ends(tmp_path):
    test = make_test(tmp_path, max_duration_s=0.45)
    wav = sounds(test, 1)["reference"]
    assert len(wav) == 7200
    assert wav[0] == wav[-1] == 0.0
    assert np.abs(wav[:20]).max() < 0.05 * np.abs(wav).max()


def test_clips_are_drawn_by_the_seed_and_training_takes_another(tmp_path):
    suite = open_suite(write_suite(tmp_path / "clips", clips=6))

    def drawn(seed):
        plan = build_here(suite, tmp_path / f"{seed}", num_clips=2, seed=seed)
        clips = [page.clip for page in plan.pages]
        assert clips[0] not in clips[1:]
        assert [page.domain for page in plan.pages[1:]] == ["music"] * 2 + ["speech"] * 2
        return clips

    assert len({tuple(drawn(seed)) for seed in range(3)}) > 1


def test_abx_repeats_two_systems(tmp_path):
    test = make_test(tmp_path, mode=ABX, repeats=3, num_clips=1)
    assert test.plan.names == ["one", "half"]
    repeats = [(page.clip[:5], page.repeat) for page in test.plan.pages[1:]]
    assert repeats == [("music", i) for i in range(3)] + [("speec", i) for i in range(3)]
    assert len(list(test.folder.glob("audio/*"))) == 3


def test_ratings_and_strange_folders_are_never_replaced(tmp_path):
    test = make_test(tmp_path)
    suite = open_suite(tmp_path / "clips")
    test.join(LISTENER)
    with pytest.raises(OutputExistsError, match="holds ratings of listeners"):
        build_here(suite, test.folder, overwrite=True)
    with pytest.raises(OutputExistsError, match="holds something else"):
        build_here(suite, tmp_path / "clips", overwrite=True)
    build_here(suite, tmp_path / "new")
    with pytest.raises(OutputExistsError, match="or --overwrite"):
        build_here(suite, tmp_path / "new")
    build_here(suite, tmp_path / "new", overwrite=True)


def test_what_cannot_be_compared_is_refused(tmp_path):
    suite = open_suite(write_suite(tmp_path / "clips"))
    out = tmp_path / "out"
    many = [f"ground-truth:name={index}" for index in range(10)]
    with pytest.raises(ConfigError, match="13 sounds on a page are too many"):
        build_here(suite, out, many)
    with pytest.raises(ConfigError, match="share a name"):
        build_here(suite, out, ("ground-truth", "ground-truth"))
    with pytest.raises(ConfigError, match="ABX compares 2 systems, not 1"):
        build_here(suite, out, SYSTEMS[:1], mode=ABX)
    with pytest.raises(ConfigError, match="no clip 'nothing' to train with"):
        build_here(suite, out, training_clip="nothing")
    write_clip(tmp_path / "clips/music/0.wav", volume=0.0)
    with pytest.raises(DataError, match="music/0: reference is silent"):
        build_here(suite, out)
    write_clip(tmp_path / "clips/music/0-refused.wav")
    with pytest.raises(DataError, match="half fails on music/0-refused"):
        build_here(open_suite(tmp_path / "clips"), out, training_clip="music/0-refused")
    assert not out.exists()


def test_a_plan_may_not_lead_out_of_its_folder(tmp_path):
    test = make_test(tmp_path)
    path = test.folder / "plan.json"
    content = json.loads(path.read_text())
    content["pages"][1]["sounds"]["one"] = "../clips/music/0.wav"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="lacks ../clips"):
        read_plan(test.folder)
    for text in ("{}", "[]", "no JSON", '{"format": 1, "pages": 3}', '{"format": 99}'):
        path.write_text(text)
        with pytest.raises(DataError, match="build the test again"):
            read_plan(test.folder)
    path.unlink()
    with pytest.raises(DataError, match="holds no listening test"):
        read_plan(test.folder)

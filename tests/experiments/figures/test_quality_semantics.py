"""Figure 1: which quality goes with which accuracy, and what the paper's points are."""

import pytest

from experiments.figures.quality_semantics import (
    Point,
    draw_quality_semantics,
    measured_on,
    measured_points,
    paper_points,
)
from experiments.figures.style import picture_bytes
from experiments.results.reader import read_results
from fake_results import FINGERPRINT, reconstruction, semantics, system, write
from semanticodec.errors import ConfigError, DataError

MODEL = {"fingerprint": FINGERPRINT, "token_rate": 100, "semantic_vocab_size": 8192}


@pytest.fixture
def points(tmp_path):
    """Return the points of systems and features, and what they rest on."""

    def measured(systems, features, matches=None):
        paths = write(tmp_path, a=reconstruction(*systems), b=semantics(**features))
        results = read_results(paths)
        found = measured_points(results, matches or {})
        note = measured_on(found, results)
        expected = "Measured here: suite tiny-suite; tasks esc, pitch." if found else ""
        assert note.startswith(expected) and bool(note) == bool(found)
        return found

    return measured


def test_the_paper_has_nine_codecs_in_both_tables():
    points = {(point.label, point.kbps): point for point in paper_points()}
    assert len(points) == 9
    best = points["SemantiCodec", 1.4]
    assert (best.accuracy, best.visqol, best.paper_codec) == (52.5, 3.81, "SemantiCodec")
    assert points["SemantiCodec", 0.35].visqol == 3.17
    assert points["EnCodec", 6.0].accuracy == 37.1


@pytest.mark.parametrize("features", ["mine", "mine:all"])
def test_names_match(points, features):
    systems = [system("mine", visqol=2.5, bits_per_second=1300)]
    assert points(systems, {features: (40, 60), "other": (1, 2)}) == [
        Point(label="mine", accuracy=50.0, visqol=2.5, kbps=1.3, suite="tiny-suite")
    ]


@pytest.mark.parametrize(
    ("details", "bits_per_second", "is_found"),
    [
        (MODEL, 1300, True),
        (MODEL, 1400, True),  # whole columns cost a little more
        (MODEL, 650, False),  # half of the streams
        ({**MODEL, "fingerprint": "ff"}, 1300, False),
        ({}, 1300, False),
    ],
)
def test_the_same_model_at_the_same_bitrate_matches(points, details, bits_per_second, is_found):
    systems = [
        system("steps 4", visqol=2.5, bits_per_second=bits_per_second, details=details),
    ]
    assert len(points(systems, {"model:all": (40, 60)})) == is_found


def test_a_match_can_be_told(points):
    systems = [system("opus@6", visqol=3.0, bits_per_second=6000)]
    (point,) = points(systems, {"log-mel": (10, 20)}, {"opus@6": "log-mel"})
    assert (point.label, point.accuracy) == ("opus@6", 15.0)


@pytest.mark.parametrize(
    ("matches", "text"),
    [
        ({"opus": "log-mel"}, "no result has the system 'opus'; choose from opus@6"),
        ({"opus@6": "mel"}, "no result has the features 'mel'; choose from log-mel"),
    ],
)
def test_a_match_of_nothing_is_an_error(points, matches, text):
    with pytest.raises(ConfigError, match=text):
        points([system("opus@6", visqol=3, bits_per_second=6000)], {"log-mel": (1, 2)}, matches)


def test_means_over_other_tasks_do_not_count(points):
    systems = [system("mine", visqol=2.5, bits_per_second=1300)]
    assert points(systems, {"mine": (40,), "other": (1, 2)}) == []  # not probed on pitch


def test_a_system_measured_on_two_suites_is_one_bubble(tmp_path):
    first = reconstruction(system("mine", visqol=2.5, bits_per_second=1300))
    again = reconstruction({**system("mine", visqol=3.5, bits_per_second=1300), "name": "same"})
    paths = write(tmp_path, a=first, b={**again, "suite": {**again["suite"], "name": "other"}})
    paths += write(tmp_path, c=semantics(mine=(40, 60), same=(40, 60)))
    (point,) = measured_points(read_results(paths), {})
    assert (point.label, point.visqol, point.suite) == ("mine", 2.5, "tiny-suite")


def test_unknown_bitrates_have_no_area(points):
    assert points([system("mine", visqol=2.5)], {"mine": (40, 60)}) == []


def test_no_points_are_no_picture():
    with pytest.raises(DataError, match="no system has both a quality and a semantic accuracy"):
        draw_quality_semantics([])


def test_the_picture_is_small():
    ours = Point(label="ours", accuracy=44.0, visqol=2.4, kbps=1.3)
    png = picture_bytes(draw_quality_semantics([*paper_points(), ours], note="a note"), "png")
    assert 5_000 < len(png) < 60_000
    without = picture_bytes(draw_quality_semantics(paper_points(), note="a note"), "png")
    assert png != without
    assert picture_bytes(draw_quality_semantics([ours]), "png") not in (png, without)


def test_labels_keep_clear_of_each_other():
    near = [
        Point(label="left", accuracy=40.0, visqol=3.0, kbps=1.0),
        Point(label="right", accuracy=42.0, visqol=3.0, kbps=1.0),
        Point(label="far", accuracy=60.0, visqol=1.0, kbps=1.0),
    ]
    axes = draw_quality_semantics(near).axes[0]
    sides = {text.get_text(): text.get_horizontalalignment() for text in axes.texts}
    assert sides == {"left 1.00": "right", "right 1.00": "left", "far 1.00": "left"}

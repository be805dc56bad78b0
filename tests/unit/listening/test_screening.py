"""Who is left out, to the page."""

import numpy as np

from semanticodec.listening.screening import post_screen

REFERENCE, MID, SYSTEM = 0, 1, 2


def careful(listeners=5, pages=20):
    """Everybody finds the reference and hears that the anchor is none."""
    values = np.zeros((listeners, pages, 3))
    values[:] = [100, 60, 40]
    return values


def test_careful_listeners_count():
    assert post_screen(careful(), REFERENCE, MID) == [None] * 5
    assert post_screen(np.zeros((0, 20, 3)), REFERENCE, MID) == []


def test_fifteen_percent_may_be_wrong_and_not_a_page_more():
    values = careful()
    values[1, :3, REFERENCE] = 89
    values[2, :4, REFERENCE] = 89
    values[3, :, REFERENCE] = 90
    expected = [None, None, "hidden reference below 90 on 4 of 20 pages", None, None]
    assert post_screen(values, REFERENCE, MID) == expected


def test_the_anchor_above_90_counts_alike():
    values = careful()
    values[0, :4, MID] = 91
    values[1, :, MID] = 90
    expected = ["anchor of 7 kHz above 90 on 4 of 20 pages", None, None, None, None]
    assert post_screen(values, REFERENCE, MID) == expected
    assert post_screen(values, REFERENCE, None) == [None] * 5


def test_clips_that_fool_more_than_a_quarter_are_held_against_nobody():
    values = careful()
    values[:2, :10, MID] = 95
    assert post_screen(values, REFERENCE, MID) == [None] * 5
    values[0, 10:14, MID] = 95
    assert post_screen(values, REFERENCE, MID)[0] == "anchor of 7 kHz above 90 on 4 of 20 pages"

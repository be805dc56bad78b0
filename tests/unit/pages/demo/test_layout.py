"""The demo page has what a visitor needs, and Gradio takes the settings that it is given.

How it works in a browser is tested in tests/integration/test_demo_page.py.
"""

import inspect

import pytest

pytest.importorskip("gradio")

import gradio

from semanticodec.pages.codecs import Codecs
from semanticodec.pages.demo.layout import build_page, launch_options
from semanticodec.pages.demo.uploads import UploadLimits
from semanticodec.pages.demo.visits import Visits


@pytest.fixture(scope="module")
def components():
    codecs = Codecs({100: (4096, 8192), 25: (4096,)}, lambda *_: None)
    page = build_page(Visits(codecs=codecs, limits=UploadLimits(max_seconds=7.0)))
    return page.get_config_file()["components"]


def props(components, label):
    """The settings of the first component of this label."""
    return next(one["props"] for one in components if one["props"].get("label") == label)


def test_every_choice_is_offered_with_a_label(components):
    rates = [value for _, value in props(components, "Tokens per second")["choices"]]
    assert rates == [100, 25]
    vocabulary = props(components, "Semantic vocabulary")
    assert [value for _, value in vocabulary["choices"]] == [4096, 8192]
    assert vocabulary["value"] == 8192
    assert props(components, "Quality")["value"] == "standard"
    assert props(components, "Random seed")["value"] == 0
    assert props(components, "Sound")["sources"] == ["upload", "microphone"]
    buttons = [one["props"]["value"] for one in components if one["type"] == "button"]
    assert buttons == ["Encode and decode", "Compare all token rates", "Cancel", "Decode", "Cancel"]


def test_the_limit_is_told(components):
    texts = [one["props"]["value"] for one in components if one["type"] == "markdown"]
    assert any("at most 7 seconds" in text for text in texts)


def test_gradio_knows_the_options():
    options = launch_options()
    assert options.keys() <= inspect.signature(gradio.Blocks.launch).parameters.keys()
    assert options["share"] is False

"""Pictures are small, the same every time, and nothing global changes when they are drawn."""

import builtins
import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from experiments.figures.style import (
    DPI,
    PALETTE,
    new_figure,
    picture_bytes,
    picture_kind,
    tidy,
)
from semanticodec.errors import ConfigError, MissingDependencyError


def drawing():
    figure = new_figure(4.0, 3.0)
    axes = figure.subplots()
    tidy(axes)
    axes.plot([1, 2, 3], [1, 4, 9], color=PALETTE[0])
    axes.imshow(np.random.default_rng(0).normal(size=(50, 50)), extent=(1, 3, 1, 9))
    return figure


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_figure_is_the_same_file(kind):
    content = picture_bytes(drawing(), kind)
    assert content == picture_bytes(drawing(), kind)
    for mark in (b"tEXt", b"tIME", b"<dc:date>", b"Matplotlib v"):
        assert mark not in content


def test_a_png_has_its_inches_and_the_line_its_color():
    picture = Image.open(io.BytesIO(picture_bytes(drawing(), "png")))
    assert picture.size == (4 * DPI, 3 * DPI)
    colors = {color for _, color in picture.convert("RGB").getcolors()}
    assert (255, 255, 255) in colors
    blue = np.array([0x00, 0x72, 0xB2])
    assert min(np.abs(np.array(color) - blue).max() for color in colors) <= 8


def test_no_global_state_is_left():
    before = dict(matplotlib.rcParams)
    for kind in ("png", "svg"):
        picture_bytes(drawing(), kind)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("name", "kind"), [("a.png", "png"), ("b.c.SVG", "svg")])
def test_the_suffix_names_the_format(name, kind):
    assert picture_kind(name) == kind


@pytest.mark.parametrize("name", ["a.jpg", "png", "results.json"])
def test_other_formats_are_refused(name):
    with pytest.raises(ConfigError, match=rf"^{name} .* end it in .png or .svg$"):
        picture_kind(name)


def test_without_matplotlib_the_user_learns_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without_matplotlib(name, *args):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(MissingDependencyError, match=r"pip install 'semanticodec\[eval\]'"):
        new_figure(1, 1)

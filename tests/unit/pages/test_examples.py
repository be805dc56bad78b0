"""One HTML file with all sounds: written by the command, whole in a browser without a network."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from chromium import LISTEN, all_addresses, is_too_wide, levels_of, opened_browser, problems_of
from semanticodec.cli import main

pytest.importorskip("pyloudnorm")

COMMITTED = Path(__file__).resolve().parents[3] / "docs" / "examples" / "index.html"
LARGEST_BYTES = 3_000_000


@pytest.fixture
def folder(tmp_path):
    for name in ("one & two", "three"):
        samples = 0.1 * np.random.default_rng(0).standard_normal(8000)
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000)
    return tmp_path


def test_the_command_writes_one_page_and_overwrites_none(folder, quick_codec, capsys):
    page = folder / "page.html"
    model = quick_codec.save_pretrained(folder / "model")
    command = ["examples", "page", str(folder), "-o", str(page), "--model", str(model)]
    assert main(command) == 0
    assert "page.html: 2 sounds, " in capsys.readouterr().out
    html = page.read_text(encoding="utf-8")
    assert re.findall(r"<h2[^>]*>([^<]*)", html) == ["one &amp; two", "three"]
    assert html.count("data:audio/ogg;base64,") == 2 * 2  # the original and one rate
    assert html.count("data:image/webp;base64,") == 2
    assert "100 tokens/s" in html
    assert not re.search(r"""(src|href)=["'](?!data:|#|\.\.\.)""", html)
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_long_sound_is_refused(tmp_path, tiny_folder, capsys):
    soundfile.write(tmp_path / "long.wav", np.zeros(61 * 8000), 8000)
    page = tmp_path / "page.html"
    command = ["examples", "page", str(tmp_path / "long.wav"), "-o", str(page)]
    assert main([*command, "--model", str(tiny_folder)]) == 2
    assert "long.wav is longer than 60 s" in capsys.readouterr().err
    assert not page.exists()


def test_the_committed_page_plays_without_a_network():
    assert COMMITTED.stat().st_size < LARGEST_BYTES
    with opened_browser() as browser:
        page = browser.new_page()
        addresses, problems = all_addresses(page), problems_of(page)
        page.goto(COMMITTED.as_uri())
        for name in ("music", "sound", "speech"):
            player = page.get_by_role("group", name=name)
            player.get_by_role("button", name="Play").and_(page.locator(":enabled")).wait_for()
            versions = player.get_by_role("radio").all()
            assert len(versions) == 4  # the original at 100, 50 and 25 tokens per second
            original = soundfile.info(COMMITTED.parents[2] / f"demo/examples/{name}.flac")
            buffers = "player => player.buffers.map((buffer) => buffer.duration)"
            durations = page.locator(f"sound-switch[aria-label={name}]").evaluate(buffers)
            assert durations == pytest.approx([original.duration] * 4, abs=0.02)
        speech = page.locator("sound-switch[aria-label=speech]")
        speech.evaluate(LISTEN)
        page.get_by_role("group", name="speech").get_by_role("button", name="Play").click()
        for version in versions:
            version.check()
            assert max(levels_of(page, speech)) > 0.01
        other = page.get_by_role("group", name="sound")
        other.get_by_role("button", name="Play").click()
        other.get_by_role("button", name="Pause").wait_for()
        assert page.get_by_role("button", name="Pause").count() == 1  # one sound at a time
        shown = "[...document.images].every((image) => image.complete && image.naturalWidth > 500)"
        assert page.evaluate(shown)
        assert all(image.get_attribute("alt") for image in page.locator("img").all())
        page.set_viewport_size({"width": 360, "height": 640})
        assert not is_too_wide(page)
        assert problems == []
        assert {address.split(":")[0] for address in addresses} <= {"file", "data"}

"""`semanticodec demo` in a real browser: everything a visitor does, and what goes wrong.

With SEMANTICODEC_PICTURES=docs/pictures, the last test leaves the README's pictures there.
"""

import io
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from chromium import LISTEN, all_addresses, is_too_wide, levels_of, opened_browser, problems_of
from semanticodec import Codes

pytest.importorskip("gradio")
pytest.importorskip("pyloudnorm")

# A minute and more of one core: run by `make test-slow`.
pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "demo" / "examples"
LARGEST_PICTURE = 200_000
PATIENCE_MS = 120_000


@contextmanager
def served(*options):
    """The page of the real command, in a process of its own; its address."""
    command = [sys.executable, "-m", "semanticodec", "demo", "--no-browser", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert "Ctrl-C stops the page" in line
            yield line.split()[0]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(quick_codec, tmp_path_factory):
    model = quick_codec.save_pretrained(tmp_path_factory.mktemp("model"))
    with served("--model", str(model), "--max-seconds", "30") as address:
        yield address


@contextmanager
def visitor(browser, address, expected=()):
    """A page of a visitor of their own, who sees no other error and nothing from elsewhere."""
    with browser.new_context(viewport={"width": 1100, "height": 800}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        addresses, problems = all_addresses(page), problems_of(page)
        page.goto(address)
        page.get_by_role("button", name="Encode and decode").wait_for()
        yield page
        assert [one for one in problems if not one.startswith(tuple(expected))] == []
        assert all(one.startswith((address, "data:", "blob:")) for one in addresses)


def upload(page, path):
    """Hand over a sound, in place of an earlier one."""
    clear = page.get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()
    page.locator("input[type=file]").first.set_input_files(path)
    clear.wait_for()


def encode(page, path, button="Encode and decode"):
    """Have a sound coded and return its player."""
    upload(page, path)
    page.get_by_role("button", name=button).click()
    player = page.locator(f'sound-switch[aria-label="Player of {Path(path).stem}"]')
    player.get_by_role("button", name="Play").and_(page.locator(":enabled")).wait_for()
    return player


def durations(player):
    return player.evaluate("player => player.buffers.map((buffer) => buffer.duration)")


def sound(path, seconds, seed=0):
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * 16_000))
    soundfile.write(path, samples, 16_000)
    return path


def listen(page, player):
    """Play both versions in turn; both are heard."""
    player.evaluate(LISTEN)
    player.get_by_role("button", name="Play").click()
    for version in player.get_by_role("radio").all():
        version.check()
        assert max(levels_of(page, player)) > 0.001


def take_picture(page, path):
    """Write a screenshot as a picture for documents: narrow, of few colors, small."""
    image = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    width = min(image.width, 800)
    size = width, round(image.height * width / image.width)
    small = image.resize(size, Image.Resampling.LANCZOS)
    small.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def test_a_visit(browser, address, tmp_path):
    with visitor(browser, address) as page:
        player = encode(page, sound(tmp_path / "first.wav", 4.0))
        assert durations(player) == pytest.approx([4.0, 4.0], abs=1e-3)
        listen(page, player)
        with page.expect_download() as started:
            page.get_by_role("link", name="Download first-100.smtc").click()
        stored = tmp_path / started.value.suggested_filename
        started.value.save_as(stored)
        assert Codes.load(stored).num_samples == (64_000,)

        page.get_by_role("tab", name="Decode a .smtc file").click()
        page.locator("input[type=file]").last.set_input_files(stored)
        page.get_by_text("first-100.smtc").first.wait_for()
        page.get_by_role("button", name="Decode", exact=True).click()
        decoded = page.locator('sound-switch[aria-label="Player of first-100"]')
        decoded.get_by_role("button", name="Play").and_(page.locator(":enabled")).wait_for()
        assert durations(decoded) == pytest.approx([4.0], abs=1e-3)


def test_what_cannot_be_coded_is_explained(browser, address, tmp_path):
    with visitor(browser, address, expected=("Waveform load error",)) as page:
        page.get_by_role("button", name="Encode and decode").click()
        page.get_by_role("alert").filter(has_text="record one or upload a file").wait_for()
        rubbish = tmp_path / "rubbish.wav"
        rubbish.write_bytes(b"no sound at all" * 100)
        upload(page, rubbish)
        page.get_by_role("button", name="Encode and decode").click()
        page.get_by_role("alert").filter(has_text="rubbish.wav is not readable audio").wait_for()
        upload(page, sound(tmp_path / "long.flac", 20 * 60))
        page.get_by_role("button", name="Encode and decode").click()
        page.get_by_role("alert").filter(has_text="long.flac is longer than 30 s").wait_for()
        assert page.locator("sound-switch").count() == 0


def test_two_visitors_get_their_own(browser, address, tmp_path):
    with visitor(browser, address) as one, visitor(browser, address) as two:
        upload(one, sound(tmp_path / "one.wav", 3.0))
        upload(two, sound(tmp_path / "two.wav", 1.0))
        for page in (one, two):
            page.get_by_role("button", name="Encode and decode").click()
        for page, name, seconds in ((one, "one", 3.0), (two, "two", 1.0)):
            player = page.locator(f'sound-switch[aria-label="Player of {name}"]')
            player.get_by_role("button", name="Play").and_(page.locator(":enabled")).wait_for()
            assert durations(player) == pytest.approx([seconds] * 2, abs=1e-3)
            assert page.locator("sound-switch").count() == 1


def test_work_is_cancelled_and_the_next_is_done(browser, address, tmp_path):
    with visitor(browser, address) as page:
        upload(page, sound(tmp_path / "long.wav", 29.0))
        page.get_by_role("button", name="Encode and decode").click()
        page.get_by_role("progressbar", name="Progress").wait_for()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("status").filter(has_text="Cancelled.").wait_for()
        encode(page, sound(tmp_path / "short.wav", 1.0))
        assert page.get_by_label("Player of long").count() == 0


def test_everything_has_a_name_and_is_reached_by_tab(browser, address):
    with visitor(browser, address) as page:
        for role, name in (
            ("radiogroup", "Tokens per second"),
            ("radiogroup", "Quality"),
            ("combobox", "Semantic vocabulary"),
            ("spinbutton", "Random seed"),
        ):
            found = page.get_by_role(role, name=name).or_(page.get_by_role("group", name=name))
            assert found.first.is_visible(), name
        reached = []
        for _ in range(25):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.innerText"))
        buttons = ["Encode and decode", "Compare all token rates", "Cancel"]
        places = [reached.index(button) for button in buttons]
        assert places == sorted(places)
        page.set_viewport_size({"width": 360, "height": 640})
        assert not is_too_wide(page)


def test_the_built_in_model_and_its_pictures(browser, tmp_path):
    folder = Path(os.environ.get("SEMANTICODEC_PICTURES", tmp_path))
    with served() as address, visitor(browser, address) as page:
        player = encode(page, EXAMPLES / "speech.flac")
        assert durations(player) == pytest.approx([8.314] * 2, abs=0.01)
        listen(page, player)
        take_picture(page, folder / "demo-encode.png")
        player = encode(page, EXAMPLES / "music.flac", "Compare all token rates")
        assert len(durations(player)) == 4
        take_picture(page, folder / "demo-compare.png")
        page.set_viewport_size({"width": 360, "height": 740})
        assert not is_too_wide(page)
    for picture in ("demo-encode.png", "demo-compare.png"):
        assert 10_000 < (folder / picture).stat().st_size < LARGEST_PICTURE

"""A whole listening test in Chromium: by keyboard, across a closed browser and a killed server."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager

import pytest

from evaluation_fakes import write_clip
from semanticodec.cli import main
from semanticodec.listening.order import presentations
from semanticodec.listening.plan import read_plan

playwright_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-component-update", "--disable-sync", "--mute-audio"]
WAIT_MS = 120_000  # a busy machine may take its time


def build(folder, *words):
    for index in range(4):
        write_clip(folder / "clips" / f"{index}.wav", seed=index)
    systems = ["ground-truth:name=one", "ground-truth:name=two"]
    words = ["--suite", str(folder / "clips"), "--num-clips", "3", *words]
    test = folder / "test"
    assert main(["mushra", "build", *words, "--system", *systems, "-o", str(test), "-q"]) == 0
    return test


def start(test, port=0):
    command = [sys.executable, "-m", "semanticodec", "mushra", "serve", str(test)]
    server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    return server, re.search(r"http://127\.0\.0\.1:(\d+)/", line)


@pytest.fixture(scope="module")
def chromium():
    with playwright_api.sync_playwright() as playwright:
        yield playwright.chromium


@contextmanager
def browser(chromium, profile):
    context = chromium.launch_persistent_context(str(profile), executable_path=CHROMIUM, args=FLAGS)
    context.set_default_timeout(WAIT_MS)
    try:
        yield context.pages[0]
    finally:
        context.close()


def expect(locator):
    playwright_api.expect.set_options(timeout=WAIT_MS)
    return playwright_api.expect(locator)


def rate_by_keyboard(page, ratings):
    """Listen to everything and rate; `ratings` are numbers of key presses, for A, B, C ..."""
    page.keyboard.press("r")
    for slot, presses in enumerate(ratings):
        letter = chr(ord("a") + slot)
        page.keyboard.press(letter)
        button = page.get_by_role("button", name=f"Play {letter.upper()}", exact=True)
        expect(button).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Home")  # a rating, too, where it is there already
        for _ in range(presses):
            page.keyboard.press("PageUp")


def value_text(page, letter):
    return page.get_by_role("slider", name=f"Rating of {letter}").get_attribute("aria-valuetext")


def submit_by_keyboard(page):
    page.get_by_role("button", name="Save and continue").focus()
    page.keyboard.press("Enter")


def test_a_session_survives_a_closed_browser_and_a_killed_server(chromium, tmp_path, capfd):
    test = build(tmp_path)
    server, address = start(test)
    try:
        with browser(chromium, tmp_path / "profile") as page:
            page.goto(address[0])
            page.get_by_role("button", name="Begin").press("Enter")
            expect(page.get_by_role("heading", name="Page 1 of 4: training")).to_be_focused()
            submit_by_keyboard(page)
            expect(page.get_by_role("status")).to_have_text("Listen to the reference first.")
            rate_by_keyboard(page, [10, 9, 8, 7])
            submit_by_keyboard(page)
            expect(page.get_by_role("status")).to_have_text("Listen to E first.")
            rate_by_keyboard(page, [0, 0, 0, 0, 0])
            assert value_text(page, "A") == "0, bad"
            submit_by_keyboard(page)
            expect(page.get_by_role("heading", name="Page 2 of 4")).to_be_focused()
            rate_by_keyboard(page, [10, 2])
            assert value_text(page, "C") == "not rated yet"

        with browser(chromium, tmp_path / "profile") as page:
            page.goto(address[0])
            page.get_by_role("button", name="Continue at page 2").press("Enter")
            expect(page.get_by_role("heading", name="Page 2 of 4")).to_be_focused()
            assert [value_text(page, letter) for letter in "ABC"] == [
                "100, excellent",
                "20, poor",
                "not rated yet",
            ]
            rate_by_keyboard(page, [0, 0, 6, 3, 0])

            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            submit_by_keyboard(page)
            expect(page.get_by_role("status")).to_contain_text("Not saved yet.")
            server, _ = start(test, address[1])
            expect(page.get_by_role("heading", name="Page 3 of 4")).to_be_focused()

            rate_by_keyboard(page, [1, 2, 3, 4, 5])
            # Two presses before there is a reply are one answer.
            page.evaluate("() => { for (let i = 0; i < 2; i++) submit.click(); }")
            expect(page.get_by_role("heading", name="Page 4 of 4")).to_be_focused()
            rate_by_keyboard(page, [10, 10, 10, 10, 10])
            submit_by_keyboard(page)
            expect(page.get_by_role("heading", name="The end")).to_be_focused()
            listener = page.evaluate("localStorage.getItem('listening-test-listener')")
    finally:
        server.kill()
        server.wait()

    plan = read_plan(test)
    rated = [[0] * 5, [0, 0, 60, 30, 0], [10, 20, 30, 40, 50], [100] * 5]
    expected = {
        (shown.page, name): score
        for shown, scores in zip(presentations(plan, listener), rated)
        for name, score in zip(shown.slots, scores)
    }
    database = sqlite3.connect(test / "ratings.sqlite3")
    rows = database.execute("SELECT page, condition, score FROM scores").fetchall()
    database.close()
    assert {(page, name): score for page, name, score in rows} == expected
    assert len(rows) == 4 * 5


PLAYED = """async (sound) => {
  const { Player } = await import("/player.js");
  const rate = 16000, context = new OfflineAudioContext(1, rate, rate);
  const buffers = [1, 1, -1].map((sign) => {
    const buffer = context.createBuffer(1, 8000, rate);
    buffer.copyToChannel(Float32Array.from(sound, (sample) => sign * sample), 0);
    return buffer;
  });
  const player = new Player(context, buffers);
  player.play();
  const at = (time, action) => context.suspend(time).then(() => { action(); context.resume(); });
  at(0.2, () => player.select(1));
  at(0.4, () => player.select(2));
  at(0.704, () => player.setLoop(0.1, 0.35));
  const rendered = await context.startRendering();
  return Array.from(rendered.getChannelData(0));
}"""


def test_switching_leaves_no_gap_and_no_shift(chromium, tmp_path, capfd):
    test = build(tmp_path, "--abx")
    server, address = start(test)
    try:
        with browser(chromium, tmp_path / "profile") as page:
            page.goto(address[0])
            sound = [((index * 7919) % 2000) / 4000 - 0.25 for index in range(8000)]
            played = page.evaluate(PLAYED, sound)
            lead = 320
            loop = [sound[(index - lead) % 8000] for index in range(lead, 16000)]
            # Between equal sounds nothing changes, not even for one sample; the loop closes.
            assert played[:lead] == [0.0] * lead
            assert played[lead:6400] == pytest.approx(loop[: 6400 - lead], abs=1e-6)
            # 5 ms after the switch the third one, the negative, runs at the same place.
            quiet = 6400 + 80 + 128
            changed = 11264  # 0.704 s
            expected = [-sample for sample in loop[quiet - lead : changed - lead]]
            assert played[quiet:changed] == pytest.approx(expected, abs=1e-6)
            # A new loop goes on from the same place, and turns back at its end.
            places = [2944 + index for index in range(16000 - changed - lead)]
            places = [place if place < 5600 else 1600 + (place - 1600) % 4000 for place in places]
            expected = [-sound[place] for place in places]
            assert played[changed + lead :] == pytest.approx(expected, abs=1e-4)

            page.get_by_role("button", name="Begin").click()
            expect(page.get_by_role("heading", name="Page 1 of 4: training")).to_be_visible()
            for key in "abx":
                page.keyboard.press(key)
            loop_start = page.get_by_role("slider", name="Loop from")
            for _ in range(3):
                loop_start.press("ArrowRight")
            expect(loop_start).to_have_attribute("aria-valuetext", "0.15 seconds")
            page.keyboard.press("/")
            expect(loop_start).to_have_attribute("aria-valuetext", "0.00 seconds")
            page.get_by_role("radio", name="B").check()
            submit_by_keyboard(page)
            expect(page.get_by_role("heading", name="Page 2 of 4")).to_be_visible()
    finally:
        server.kill()
        server.wait()

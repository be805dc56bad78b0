"""The player switches between versions in step, without a gap, by mouse and by keyboard."""

import numpy as np
import pytest

from chromium import LISTEN, next_levels, opened_browser, problems_of
from semanticodec.pages.player import player_html, player_script

RATE = 16_000


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


def tone(frequency, seconds=20.0):
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.fixture
def page(browser, tmp_path):
    wavs = {"low": tone(500), "<high>": tone(2000)}
    html = player_html("two & tones", wavs, RATE)
    file = tmp_path / "page.html"
    file.write_text(f"<meta charset=utf-8>{html}<script>{player_script()}</script>")
    page = browser.new_page()
    problems = problems_of(page)
    page.goto(file.as_uri())
    page.get_by_role("button", name="Play").and_(page.locator(":enabled")).wait_for()
    page.locator("sound-switch").evaluate(LISTEN)
    yield page
    assert problems == []
    page.close()


def heard(page):
    """The loudest frequency, once the last switch is well behind."""
    next_levels(page, 20)
    return page.evaluate("window.frequency()")


def test_a_switch_changes_the_sound_and_leaves_no_gap(page):
    page.get_by_role("button", name="Play").click()
    assert heard(page) == pytest.approx(500, abs=12)
    levels = []
    for name in ("<high>", "low", "<high>"):
        levels += next_levels(page, 15, page.get_by_role("radio", name=name).check)
    # Two tones of one level that never stop: a gap of 10 ms would take 6 % of a frame of 85 ms.
    assert min(levels) > 0.94 * 0.5 / np.sqrt(2)
    assert heard(page) == pytest.approx(2000, abs=12)
    assert page.locator("sound-switch").evaluate("player => player.now()") > 0.45


def test_the_keyboard_is_enough(page):
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Pause").wait_for()
    page.keyboard.press("2")
    assert page.get_by_role("radio", name="<high>").is_checked()
    assert heard(page) == pytest.approx(2000, abs=12)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert page.get_by_role("radio", name="low").is_checked()
    page.keyboard.press("Tab")
    before = page.locator("sound-switch").evaluate("player => player.now()")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert page.locator("sound-switch").evaluate("player => player.now()") > before + 4.5
    position = page.get_by_role("slider", name="Position")
    assert "of 20.0 seconds" in position.get_attribute("aria-valuetext")


def test_at_the_end_it_stops_and_can_be_played_again(page):
    page.get_by_role("button", name="Play").click()
    page.locator("sound-switch").evaluate("player => player.seek(19.7)")
    page.get_by_role("button", name="Play").wait_for()
    page.get_by_role("button", name="Play").click()
    assert heard(page) == pytest.approx(500, abs=12)


def test_without_javascript_plain_players_stay(browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(player_html("tones", {"low": tone(500, 1), "high": tone(2000, 1)}, RATE))
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(file.as_uri())
        assert page.locator("audio[controls]").count() == 2
        assert page.locator("audio").first.get_attribute("aria-label") == "low"

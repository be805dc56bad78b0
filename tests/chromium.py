"""Debian's Chromium, driven by playwright; tests that need it are skipped without."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# What is heard of a player: its level, and its loudest frequency in Hz.
LISTEN = """(player) => {
  const analyser = new AnalyserNode(player.output.context, { fftSize: 4096 });
  player.output.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const bins = new Float32Array(analyser.frequencyBinCount);
  window.levels = [];
  window.frequency = () => {
    analyser.getFloatFrequencyData(bins);
    return bins.indexOf(Math.max(...bins)) * player.output.context.sampleRate / analyser.fftSize;
  };
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    window.levels.push(Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length));
  }, 10);
}"""

# In place of playwright's `wait_for_function`, which pages that forbid `eval` refuse.
WAIT_FOR_LEVELS = """(number) => new Promise((resolve, reject) => {
  const timer = setInterval(() => {
    if (window.levels.length < number) return;
    clearInterval(timer);
    resolve(window.levels);
  }, 10);
  setTimeout(() => reject(new Error("nothing is measured")), 20000);
})"""


@contextmanager
def opened_browser() -> Iterator[Any]:
    """Give a browser; each of its contexts is a visitor of its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not os.path.exists(PROGRAM):
        pytest.skip(f"there is no {PROGRAM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=PROGRAM, args=QUIET)
        yield browser
        browser.close()


def next_levels(page: Any, number: int, action: Callable[[], object] = lambda: None) -> list[float]:
    """Return the levels that are heard while and after something is done.

    Args:
        page: a page that was told to `LISTEN`.
        number: how many levels, one every 10 ms or so.
        action: what is done first.
    """
    page.evaluate("window.levels = []")
    action()
    return page.evaluate(WAIT_FOR_LEVELS, number)


def levels_of(page: Any, player: Any, number: int = 20) -> list[float]:
    """Return the levels of a player from its second 1 on, where it may have come to its end."""
    again = "player => { player.seek(1); return player.startedAt === null && player.play(); }"
    return next_levels(page, number, lambda: player.evaluate(again))


def all_addresses(page: Any) -> set[str]:
    """Return a set that grows by every address that the page asks for."""
    addresses: set[str] = set()
    page.on("request", lambda request: addresses.add(request.url))
    return addresses


def problems_of(page: Any) -> list[str]:
    """Return a list that grows by every error of the page's scripts."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: said.type == "error" and problems.append(said.text))
    return problems


def is_too_wide(page: Any) -> bool:
    """Return whether a page has to be scrolled sideways."""
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")

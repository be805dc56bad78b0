"""The documentation site: its extensions, and the whole of it opened from disk in a browser."""

import argparse
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from snippets import ROOT

from chromium import all_addresses, opened_browser, problems_of

pytest.importorskip("sphinx")

EXTENSIONS = ROOT / "docs/extensions"
BROKEN_IMAGES = """() => [...document.images]
  .filter((image) => image.complete && image.naturalWidth === 0).map((image) => image.src)"""


@pytest.fixture
def extensions(monkeypatch):
    monkeypatch.syspath_prepend(EXTENSIONS)


@pytest.mark.usefixtures("extensions")
def test_help_has_a_section_for_every_listed_command():
    from command_help import listed_commands
    from semanticodec.cli import COMMANDS, build_parser

    found = {
        command.parser.prog.split()[-1]: command for command in listed_commands(build_parser())
    }
    assert [*found] == [*COMMANDS]
    within = [each.parser.prog for each in listed_commands(found["mushra"].parser)]
    assert within == [
        f"semanticodec mushra {name}" for name in ("build", "serve", "analyze", "export")
    ]
    assert all(command.summary for command in found.values())
    assert [*listed_commands(argparse.ArgumentParser())] == []


@pytest.mark.usefixtures("extensions")
def test_drawings_in_docstrings_stay_as_they_are():
    from docstrings import keep_drawings

    text = """\
Joins boxes.

fbank -> features -> codes
             |-> loss

A sentence
in two lines.

Args:
    codes: codes, of
        any length.
"""
    lines = text.splitlines()
    keep_drawings(None, "module", "name", None, None, lines)
    shown = "\n".join(lines)
    assert "::\n\n    fbank -> features -> codes\n                 |-> loss\n" in shown
    assert "\nA sentence\nin two lines.\n" in shown
    assert "\nArgs:\n    codes: codes, of\n        any length.\n" in shown


@pytest.mark.usefixtures("extensions")
def test_names_of_several_modules_are_told_apart():
    from docstrings import say_whose

    def said(what, name, signature, returned=None):
        return say_whose(None, what, name, None, None, signature, returned)

    assert said("class", "vae.VAE", "(config: Config)") == ("(config: vae.VAE.Config)", None)
    assert said("method", "vae.VAE.load", "(a: Config)") == ("(a: vae.VAE.Config)", None)
    assert said("function", "unet.new", "()", "unet.Config") == ("()", "unet.Config")
    assert (
        said("function", "hub.load", "()", "SemantiCodec")[1] == "semanticodec.codec.SemantiCodec"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built anew with warnings as errors."""
    out = tmp_path_factory.mktemp("site")
    options = ["-c", "docs", "--quiet", "--fail-on-warning", "--keep-going"]
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            *options,
            "-d",
            str(out / "doctrees"),
            ".",
            str(out / "html"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return out / "html"


@pytest.mark.slow
def test_site_works_from_disk(site):
    with opened_browser() as browser:
        page = browser.new_page()
        addresses, problems = all_addresses(page), problems_of(page)
        page.goto((site / "index.html").as_uri())
        page.wait_for_url("**/docs/index.html")
        links = page.eval_on_selector_all(".sidebar-tree a", "all => all.map((link) => link.href)")
        assert len(links) > 30
        for link in links:
            page.goto(link)
            assert page.evaluate(BROKEN_IMAGES) == [], link
            assert page.locator("h1").count() >= 1, link

        page.goto((site / "docs/index.html").as_uri())
        page.fill("input[name=q]", "vocoder")
        page.press("input[name=q]", "Enter")
        page.wait_for_selector("#search-results li a")
        assert page.locator("#search-results li a").count() > 5

        page.goto((site / "README.html").as_uri())
        page.click("text=encoder/audiomae.py")
        assert page.url.endswith("_modules/semanticodec/encoder/audiomae.html")
        assert "class AudioMAE" in page.inner_text("article")
    assert problems == []
    assert {address.partition(":")[0] for address in addresses} <= {"file", "data"}


class Page(HTMLParser):
    """What a page links to, and the names that others may link to."""

    def __init__(self):
        super().__init__()
        self.names, self.links = set(), set()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.names.update(found[key] for key in ("id", "name") if found.get(key))
        self.links.update(found[key] for key in ("href", "src") if found.get(key))


@pytest.mark.slow
def test_every_link_between_files_of_the_site_leads_somewhere(site):
    pages = {}
    for path in site.rglob("*.html"):
        if "_downloads" not in path.parts:
            pages[path] = Page()
            pages[path].feed(path.read_text(encoding="utf-8"))
    missing = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            name = unquote(parts.fragment)
            known = pages.get(Path(target))
            if not target.exists() or (name and known and name not in known.names):
                missing.append(f"{path.relative_to(site)}: {link}")
    assert missing == []

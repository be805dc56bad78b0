"""README.md keeps its promises: its Python runs, its commands parse, its links lead somewhere."""

import re
import shlex

import pytest
import soundfile
from snippets import ROOT, run, snippets

from semanticodec.checkpoints import pretrained
from semanticodec.cli import build_parser

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "demo/**/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
HAS_MODEL = (pretrained.DEFAULT_MODEL / pretrained.CONFIG_NAME).is_file()


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """A folder with `speech.wav` in it, as the current one."""
    samples, sample_rate = soundfile.read(ROOT / "demo/examples/speech.flac")
    soundfile.write(tmp_path / "speech.wav", samples[: 3 * sample_rate], sample_rate)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("recording")
def test_python_runs(tiny_folder, tmp_path, monkeypatch):
    if not HAS_MODEL:
        monkeypatch.setattr(pretrained, "DEFAULT_MODEL", tiny_folder)
    namespace = {}
    for snippet in snippets("README.md"):
        if snippet.language == "python" and not snippet.skip:
            run(snippet, "README.md", namespace)
    assert namespace["batch"].num_samples == (16_000, 8_000)
    assert soundfile.info(tmp_path / "long.wav").frames == 48_000


def test_only_official_weights_are_left_out():
    reasons = {snippet.skip for snippet in snippets("README.md") if snippet.skip}
    assert reasons == {"needs the official weights"}


def commands():
    for snippet in snippets("README.md"):
        if snippet.language == "bash":
            for line in snippet.body.replace("\\\n", " ").splitlines():
                for part in line.split("#")[0].split("|"):
                    if part.strip().startswith("semanticodec "):
                        yield part.strip()


@pytest.mark.parametrize("command", [*commands()])
def test_commands_are_understood(command):
    words = shlex.split(command)[1:]
    if "--help" in words:
        words.remove("--help")
        assert words[0] in build_parser().format_help()
    else:
        assert build_parser().parse_args(words).command == words[0]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    missing = [
        link
        for link in LINK.findall(text)
        if not (ROOT / document).parent.joinpath(link).exists()
        and (HAS_MODEL or "default_model" not in link)
    ]
    assert not missing

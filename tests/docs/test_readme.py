"""README.md keeps its promises: its Python runs, its commands parse, its links lead somewhere."""

import itertools
import re
import shlex

import pytest
import soundfile
from snippets import ROOT, run, snippets

from semanticodec.checkpoints import pretrained
from semanticodec.cli import build_parser

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "demo/**/*.md", "src/**/*.md")
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


def commands(document):
    """Yield the words of a page's commands of ours, pipes and redirections taken apart."""
    for snippet in snippets(document):
        if snippet.language == "bash":
            for line in snippet.body.replace("\\\n", " ").splitlines():
                shell = shlex.shlex(line, posix=True, punctuation_chars="|<>&;")
                shell.whitespace_split = True
                for between, words in itertools.groupby(shell, lambda word: word[0] in "|<>&;"):
                    command = [*words]
                    if not between and command[0] == "semanticodec":
                        yield command[1:]


# The model card has a script with variables.
@pytest.mark.parametrize(
    "document", [name for name in DOCUMENTS if "CARD" not in name and any(commands(name))]
)
def test_commands_are_understood(document):
    parser = build_parser()
    for words in commands(document):
        if "--help" in words:
            assert words[0] in parser.format_help()
        else:
            assert parser.parse_args(words).command == words[0], words


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

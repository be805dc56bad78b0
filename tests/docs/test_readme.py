"""README.md keeps its promises: its Python runs, and links of all pages lead somewhere."""

import re
import subprocess

import pytest
import soundfile
from shell import lines_of, words_of
from snippets import ROOT, run, snippets

from semanticodec.checkpoints import pretrained
from semanticodec.cli import build_parser

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for folder in ("", "docs/**/", "demo/**/", "src/**/", "examples/**/", "experiments/**/")
    for path in ROOT.glob(f"{folder}*.md")
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
CARD = "src/semanticodec/default_model/MODEL_CARD.md"
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


def test_what_is_left_out_has_a_reason_and_its_commands_are_understood():
    skipped = [each for page in DOCUMENTS for each in snippets(page) if each.skip]
    reasons = {"needs the official weights", "needs the Hub", "needs a text model"}
    assert {each.skip for each in skipped} == reasons
    for snippet in skipped:
        for line in lines_of(snippet) if snippet.language == "bash" else ():
            name, *words = words_of(line.text)
            assert name == "semanticodec" and build_parser().parse_args(words), line


def expanded(script):
    """Return the words of our commands in a script as bash expands them."""
    noted = 'semanticodec() { printf "%s\\0" "$@"; echo; }\n' + script
    out = subprocess.run(["bash", "-ec", noted], check=True, capture_output=True, text=True).stdout
    return [line.split("\0")[:-1] for line in out.splitlines()]


def test_the_script_of_the_model_card_is_understood():
    (script,) = (each.body for each in snippets(CARD) if each.language == "bash")
    commands = expanded(script)
    assert len(commands) == 10
    for words in commands:
        assert build_parser().parse_args(words).command == "train"


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

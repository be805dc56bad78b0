"""Every line of shell in README.md, CONTRIBUTING.md and docs/ runs, on small sounds and models.

What a line takes too long for is made shorter (SHORT). Where it needs what is not here, something
stands in for that (STAND_INS and `served`). ELSEWHERE names what other tests run.
"""

import argparse
import io
import re
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from shell import (
    PROGRAMS,
    commands_of,
    execute,
    lines_of,
    run_python,
    run_semanticodec,
    shell_blocks,
)
from snippets import ROOT

from evaluation_fakes import run_here
from experiments.listening.simulated import Panel, hold
from experiments.results import __main__ as results
from probe_tasks import write_pitches
from semanticodec import Codes, SemantiCodec
from semanticodec.checkpoints import pretrained
from semanticodec.cli import build_parser
from semanticodec.evaluation import reconstruction
from semanticodec.listening.session import Test
from tiny_modules import write_audio

# Pages whose tests know more: what their commands print and leave.
OWN_TESTS = {
    "docs/corpora.md": "test_corpora.py",
    "docs/fine_tuning.md": "test_fine_tuning.py",
    "docs/tutorials/first_corpus.md": "test_tutorials.py",
    "docs/tutorials/first_sound.md": "test_tutorials.py",
    "docs/tutorials/first_training.md": "test_tutorials.py",
}
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
)
# Blocks of seconds, by their first words.
SLOW = (
    "semanticodec train",
    "semanticodec evaluate reconstruction",
    "semanticodec evaluate semantics",
    "semanticodec examples page",
    "python -m experiments.figures stages demo/examples/speech.flac --start 0.3 -o",
)


def blocks():
    """Yield the blocks of shell of all pages but those of OWN_TESTS, as parameters."""
    for document in DOCUMENTS:
        for block in shell_blocks(document):
            if document not in OWN_TESTS:
                marks = [pytest.mark.slow] if block.body.startswith(SLOW) else []
                yield pytest.param(document, block, id=f"{document}:{block.line}", marks=marks)


# Other tests run these words; they are not run a second time.
ELSEWHERE = {
    "semanticodec export -o onnx/ --check": "tests/unit/runtimes/test_onnx.py",
    "python -m benchmarks.modules --official -o out/": "tests/benchmarks/test_modules_command.py",
    "python -m experiments.paper -o record/": "tests/experiments/paper/test_record.py",
}
# What makes a command short, by its first words; later options win.
SHORT = {
    "semanticodec train": "--recipe tiny --steps 1 --batch-size 1 --threads 1 --quiet",
    "semanticodec train codebook": "--recipe tiny --threads 1 --quiet",
    "semanticodec evaluate reconstruction": "--metrics mel --limit 1",
    "semanticodec evaluate semantics": "--seeds 1",
    "semanticodec evaluate pairs": "--limit 1",
    "semanticodec mushra build": "--num-clips 1",
    "semanticodec serve": "--port 0",
    "semanticodec mushra serve": "--port 0",
    "semanticodec benchmark": "--runs 1 --seconds 0.5",
    "python -m experiments.ablations": "--metrics mel --num-steps 1 --guidance-scale 1",
}
# What takes the place of words that need what is not everywhere.
REPLACED = {
    "opus:kbps=6": "ground-truth:name=opus",  # the program opusenc
    "rate=25": "rate=100",  # the small model has one token rate
    "--token-rate 25": "--token-rate 100",
    "--token-rate 50": "--token-rate 100",
}
TOKEN = "a-token-of-the-tests"
BUILT_IN = pretrained.DEFAULT_MODEL


@pytest.fixture(scope="module")
def model(quick_codec, tmp_path_factory):
    """A small model as the built-in one, whose VAE encodes without an encoder, as that one's."""
    decoder = quick_codec.config.decoder
    decoder = replace(decoder, vae=replace(decoder.vae, patch_shortcut=True))
    codec = SemantiCodec(replace(quick_codec.config, decoder=decoder))
    codec.load_state_dict(quick_codec.state_dict(), strict=False)
    return codec.save_pretrained(tmp_path_factory.mktemp("built-in"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The sounds that the pages name, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for folder in ("clips", "decoded", "eval"):
        write_audio(tmp_path / folder, seconds=(0.6, 0.5), domains=("speech",))
    write_audio(tmp_path / "recordings", seconds=(0.6,))
    shutil.copy("recordings/speech/0.wav", "speech.wav")
    (tmp_path / "demo/examples").mkdir(parents=True)
    samples, rate = soundfile.read(ROOT / "demo/examples/speech.flac")
    soundfile.write(tmp_path / "demo/examples/speech.flac", samples[:rate], rate)
    write_pitches(tmp_path / "tasks/pitches", per_class=1)
    shutil.copytree(ROOT / "docs/results", tmp_path / "docs/results")
    (tmp_path / "results/earlier").mkdir(parents=True)
    shutil.copy("docs/results/codecs.json", "results/earlier/results.json")
    (tmp_path / "tokens").write_text(f"{TOKEN}\n")


def shortened(program, words):
    """Return the words of a command as they are run here."""
    text = " ".join([program, *words])
    for old, new in REPLACED.items():
        text = text.replace(old, new)
    start = max((start for start in SHORT if text.startswith(start)), key=len, default=None)
    return f"{text} {SHORT.get(start, '')}".split()[1:]


def run_ours(words, data):
    """Run a command of ours; only the built-in model has tables for entropy coding."""
    with pytest.MonkeyPatch.context() as patches:
        if "--entropy" in words:
            if not (BUILT_IN / pretrained.CONFIG_NAME).is_file():
                return b""  # a clone without its large files
            patches.setattr(pretrained, "DEFAULT_MODEL", BUILT_IN)
        return run_semanticodec(shortened("semanticodec", words), data)


def run_any_python(words, data):
    """Run a module of ours; of other people's look for the files that they would read."""
    for program, options in OTHERS.items():
        if program in words:
            paths = [words[words.index(option) + 1] for option in options]
            assert all(Path(path).exists() for path in paths), words
            return b""
    return run_python(shortened("python", words), data)


def heard(words, data):
    """Take sound as `aplay` does."""
    assert soundfile.info(io.BytesIO(data)).frames > 0
    return b""


def recorded(words, data):
    """Give half a second of sound as `arecord` does: WAV whose length is not known."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(8000), 16_000, format="WAV")
    wav = file.getvalue()
    at = wav.index(b"data") + 4
    return wav[:at] + b"\xff" * 4 + wav[at + 4 :]


def codes_read(words, data):
    """Read a stream of codes."""
    assert Codes.load(io.BytesIO(data)).num_samples[0] > 0
    return b""


def installed(words, data):
    """Look for what `pre-commit install` needs."""
    assert words == ["install"] and (ROOT / ".pre-commit-config.yaml").is_file()
    return b""


OTHERS = {  # programs of others, with the options that name files of ours
    "versa/bin/scorer.py": ("--gt", "--pred"),
    "codec_bpe.train_tokenizer": ("--codes_path",),
}
STAND_INS = {
    "semanticodec": run_ours,
    "python": run_any_python,
    "aplay": heard,
    "arecord": recorded,
    "ffmpeg": lambda words, data: bytes(2 * 2 * 48_000),  # silence, -ar 48000 -ac 2
    "...": codes_read,
    ".venv/bin/pre-commit": installed,
}


@pytest.fixture
def served(monkeypatch):
    """Stand in for servers: note the application, ask a first question, and end."""
    pytest.importorskip("prometheus_client")
    testclient = pytest.importorskip("starlette.testclient")
    uvicorn = pytest.importorskip("uvicorn")
    from semanticodec.pages.demo import serve as demo
    from semanticodec.service import server

    clients = []

    def run(self, sockets):
        token = {"Authorization": f"Bearer {TOKEN}"}
        clients.append(testclient.TestClient(self.config.app, headers=token))

    monkeypatch.setattr(uvicorn.Server, "run", run)
    monkeypatch.setattr(server, "serve_workers", lambda number, *rest: server.serve(*rest))
    monkeypatch.setattr(demo, "served", lambda *_, **__: nullcontext("http://127.0.0.1:7860/"))
    monkeypatch.setattr(demo, "wait_forever", lambda: None)
    return clients


def curl(clients):
    """Return `curl` as a server of ours answers it."""

    def ask(words, data):
        if not clients:
            run_ours(["serve"], b"")
        options = dict(zip(words[::2], words[1::2]))
        (address,) = (word for word in words if word.startswith("localhost:8000/"))
        body = Path(options["--data-binary"].removeprefix("@")).read_bytes()
        reply = clients[0].post(address.removeprefix("localhost:8000"), content=body)
        assert reply.status_code == 200, reply.text
        if words[-2] == "-o":
            Path(words[-1]).write_bytes(reply.content)
        return reply.content

    return ask


@pytest.mark.usefixtures("place", "unchecked_shapes")  # which takes half of the time
@pytest.mark.parametrize(("document", "block"), [*blocks()])
def test_every_line_runs(document, block, model, served, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "DEFAULT_MODEL", model)
    monkeypatch.setattr(reconstruction, "run_tasks", run_here)
    monkeypatch.setattr(results, "_draw_all", lambda *_: None)  # the page shows what is there
    programs = {**PROGRAMS, **STAND_INS, "curl": curl(served)}
    for line in lines_of(block):
        if line.text.split("#")[0].strip() in ELSEWHERE:
            continue
        try:
            execute(line.text, programs)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{document}, line {line.number}: {line.text}") from error
        assert " is now " not in capsys.readouterr().err, f"{document}: {line.text}: an old name"
        if line.text.startswith("semanticodec serve"):
            assert served[-1].get("/v1/info").status_code == 200
        elif line.text.startswith("semanticodec mushra serve"):
            assert served[-1].get("/api/about").json()["mode"] == "mushra"
            test = Test.open(Path("test"))
            hold(test, Panel(qualities=dict.fromkeys(test.plan.names, 50.0), num_careful=2))
        elif document == "docs/results.md":
            assert Path(document).read_text() == (ROOT / document).read_text()


@pytest.mark.parametrize(("page", "test"), OWN_TESTS.items())
def test_pages_that_are_left_out_have_a_test(page, test):
    assert shell_blocks(page) and page in (ROOT / "tests/docs" / test).read_text(encoding="utf-8")


@pytest.mark.parametrize(("text", "test"), ELSEWHERE.items())
def test_lines_that_are_left_out_are_there_and_tested(text, test):
    bodies = [block.body for page in DOCUMENTS for block in shell_blocks(page)]
    assert any(f"\n{text}" in f"\n{body}" for body in bodies)
    assert (ROOT / test).is_file()


def parsers(parser):
    """Yield a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from parsers(command)


def test_examples_of_the_help_are_understood():
    found = 0
    for parser in parsers(build_parser()):
        text = re.sub(r"\s*\\\n\s*", " ", parser.description or "")
        for line in re.findall(r"(?m)^  (semanticodec .*)", text):
            command, *_ = re.split(" {2,}|#", line)  # what it does stands behind
            for name, *words in commands_of(command)[0]:
                found += 1
                assert name != "semanticodec" or build_parser().parse_args(words)
    assert found > 40

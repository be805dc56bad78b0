"""`experiments.figures` and `experiments.results` as users type them."""

import json
import re

import numpy as np
import pytest
import soundfile

from experiments.figures.__main__ import main as draw
from experiments.results.__main__ import main as write_page
from fake_results import (
    code_use,
    guidance_steps,
    reconstruction,
    semantics,
    system,
    vocabulary,
    write,
)

PNG, SVG = b"\x89PNG\r\n", b"<?xml"


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run a command in an empty folder; return its status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run_words(*words):
        capfd.readouterr()
        try:
            command, *arguments = map(str, words)
            status = {"figures": draw, "results": write_page}[command](arguments)
        except SystemExit as stop:  # what argparse refuses
            status = stop.code
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run_words


@pytest.fixture
def results(tmp_path):
    """Results of all kinds in `results/`."""
    (tmp_path / "results").mkdir()
    write(
        tmp_path / "results",
        eval=reconstruction(
            system("opus@6", visqol=3.1, bits_per_second=6000),
            system("ours", visqol=2.5, bits_per_second=1300),
        ),
        probe=semantics(**{"ours:all": (40, 60)}),
        steps=guidance_steps(),
        vocab=vocabulary(),
        use=code_use(),
    )


@pytest.fixture
def suite(tmp_path):
    """A suite of two domains in `clips/`, and what a codec made of it in `made/`."""
    rng = np.random.default_rng(0)
    for name in ("speech/a", "speech/b", "music/c"):
        for folder in ("clips", "made"):
            path = tmp_path / folder / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.normal(0, 0.1, 16_000), 16_000)


def is_picture(path, start=PNG):
    content = path.read_bytes()
    return content.startswith(start) and len(content) < 150_000


@pytest.mark.usefixtures("results")
def test_each_picture_from_results_files(run, tmp_path):
    for words in (
        ("quality", "results/eval.json", "results/probe.json"),
        ("quality",),  # of the paper alone
        ("sweep", "results/steps.json"),
        ("sweep", "results/vocab.json", "--domain", "speech"),
        ("code-use", "results/use.json"),
    ):
        status, out, err = run("figures", *words, "-o", "x/picture.png")
        assert (status, err) == (0, "")
        assert re.fullmatch(r"x/picture\.png: \d+ kB\n", out)
        assert is_picture(tmp_path / "x/picture.png")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["picture.png"]
    assert run("figures", "sweep", "results/steps.json", "-o", "a.svg", "-q") == (0, "", "")
    assert is_picture(tmp_path / "a.svg", SVG)


@pytest.mark.usefixtures("suite")
def test_spectrograms_of_systems_and_folders(run, tmp_path, tiny_folder):
    (tmp_path / "made/music/c.wav").unlink()
    words = ("--suite", "clips", "--seconds", "0.5", "-o", "grid.png")
    model = f"model:path={tiny_folder},steps=1"
    status, out, err = run("figures", "spectrograms", *words, "--system", model, "folder:path=made")
    assert (status, out) == (
        0,
        f"grid.png: {(tmp_path / 'grid.png').stat().st_size / 1000:.0f} kB\n",
    )
    assert is_picture(tmp_path / "grid.png")
    assert err.startswith(
        "semanticodec: warning: music/c: folder:path=made failed: music/c has no rec"
    )
    one = (*words, "--clip", "speech/b", "--system", "folder:path=made", "-q")
    assert run("figures", "spectrograms", *one) == (0, "", "")


@pytest.mark.usefixtures("suite")
def test_code_map_of_a_suite(run, tmp_path, quick_codec):
    model = quick_codec.save_pretrained(tmp_path / "quick")
    words = ("code-map", "--suite", "clips", "--model", str(model), "-q", "-o", "map.png")
    assert run("figures", *words) == (0, "", "")
    assert is_picture(tmp_path / "map.png")
    assert run("figures", *words, "--example", "nothing")[0] == 2


@pytest.mark.usefixtures("suite")
def test_stages_of_a_second(run, tmp_path, quick_codec):
    model = quick_codec.save_pretrained(tmp_path / "quick")
    sound = tmp_path / "long.wav"
    soundfile.write(sound, 0.3 * np.sin(np.arange(32_000) / 5), 16_000)
    words = ("stages", str(sound), "--model", str(model), "-q", "-o")
    assert run("figures", *words, "first.png") == (0, "", "")
    assert run("figures", *words, "later.png", "--start", "1") == (0, "", "")
    assert is_picture(tmp_path / "first.png")
    assert (tmp_path / "first.png").read_bytes() != (tmp_path / "later.png").read_bytes()
    assert run("figures", *words, "x.png", "--start", "3")[0] == 2  # behind the end
    assert run("figures", *words, "some.png", "--only", "noise", "halfway") == (0, "", "")
    assert is_picture(tmp_path / "some.png")
    assert "choose of wav, fbank" in run("figures", *words, "x.png", "--only", "tokens")[2]


@pytest.mark.usefixtures("suite")
def test_code_use_of_a_suite_is_kept_and_drawn_again(run, tmp_path, tiny_folder):
    (tmp_path / "clips/speech/broken.wav").write_text("not audio")
    words = ("--suite", "clips", "--model", tiny_folder, "--counts", "use.json", "-o", "use.png")
    status, _, err = run("figures", "code-use", *words)
    assert status == 0
    assert err.startswith("semanticodec: warning: speech/broken: not encoded: ")
    content = json.loads((tmp_path / "use.json").read_text())
    assert content["domains"]["all"]["acoustic"]["num_codes"] == 3 * 56
    assert content["model"]["name"] == tiny_folder.name
    assert str(tmp_path) not in json.dumps(content["model"]) + content["suite"]
    first = (tmp_path / "use.png").read_bytes()
    assert run("figures", "code-use", "use.json", "-o", "use.png", "-q") == (0, "", "")
    assert (tmp_path / "use.png").read_bytes() == first


@pytest.mark.usefixtures("results")
def test_the_page_and_its_pictures(run, tmp_path):
    files = [f"results/{name}.json" for name in ("eval", "probe", "steps", "use", "vocab")]
    words = ("results", *files[::-1], "-o", "page.md", "--figures", "pictures")
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    drawn = ["quality", "steps", "vocab", "use"]
    assert [line.split(":")[0] for line in out.splitlines()] == [
        *(f"pictures/{name}.png" for name in drawn),
        "page.md",
    ]
    page = (tmp_path / "page.md").read_text()
    assert set(re.findall(r"\]\(pictures/(\w+)\.png\)", page)) == set(drawn)
    # The page's own command makes it again, byte by byte, pictures and all.
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    (command,) = re.findall(r"```bash\npython -m experiments\.(.*)\n```", page)
    assert command == f"results {' '.join(files)} -o page.md --figures pictures"
    assert run(*command.split(), "-q") == (0, "", "")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


@pytest.mark.usefixtures("results")
def test_a_picture_that_cannot_be_drawn_does_not_stop_the_page(run, tmp_path):
    write(tmp_path / "results", steps=guidance_steps(steps=()))
    status, _, err = run("results", "results/steps.json", "-o", "page.md", "--figures", "p")
    assert status == 0
    assert err.startswith("semanticodec: warning: steps: not drawn: the ablation 'guidance-steps'")
    assert "![" not in (tmp_path / "page.md").read_text()


@pytest.mark.usefixtures("results", "suite")
@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("figures sweep results/steps.json -o a.pdf", "end it in .png or .svg"),
        ("figures sweep results/use.json -o a.png", "the kind code-use; give one of ablations"),
        ("figures code-use results/eval.json -o a.png", "the kind reconstruction; give one of"),
        ("figures code-use -o a.png", "one of the arguments RESULTS --suite is required"),
        ("figures quality results/eval.json -o a.png", "no system of these files has both"),
        (
            "figures quality results/eval.json results/probe.json --match x y -o a.png",
            "no result has the system 'x'",
        ),
        (
            "figures spectrograms --suite clips --clip d --system ground-truth -o a.png",
            "the suite clips has no clip 'd'; its clips are called like music/c",
        ),
        (
            "figures spectrograms --suite clips --seconds 0 --system ground-truth -o a.png",
            "--seconds is 0; give more than 0 and at most 30",
        ),
        ("figures spectrograms --suite clips --system lute -o a.png", "'lute' does not exist"),
        ("results results/none.json -o a.md", "results/none.json does not exist"),
        ("results results/use.json -o a.png", "a.png is no page; end it in .md"),
    ],
)
def test_wrong_input_is_one_line(run, tmp_path, words, text):
    status, out, err = run(*words.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("semanticodec: error: ") and text in err
    assert not list(tmp_path.glob("a.*"))

"""`semanticodec train codebook` through the real command."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from semanticodec.checkpoints.codebook_grid import to_int8
from semanticodec.checkpoints.trained_module import load_codebooks
from semanticodec.cli import main
from semanticodec.errors import CheckpointError
from semanticodec.recipes.codebook import RECIPES
from tiny_modules import WIDTH, export_audiomae, export_codebook, write_audio

COMMAND = "import sys; from semanticodec.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_audio(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def audiomae(tmp_path_factory):
    return export_audiomae(tmp_path_factory.mktemp("modules") / "audiomae")


def arguments(data, out, audiomae, *more, recipe="tiny"):
    return [
        *("train", "codebook", "--recipe", recipe, "--quiet", "--data", str(data)),
        *("--output", str(out), "--module", f"audiomae={audiomae}", *more),
    ]


@pytest.fixture(scope="module")
def run_folder(data, audiomae, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "codebook"
    assert main(arguments(data, out, audiomae)) == 0
    return out


def test_every_vocabulary_is_merged_from_the_domains(run_folder):
    codebooks = load_codebooks(run_folder / "export", width=WIDTH, stack_factor=1)
    assert {size: tuple(rows.shape) for size, rows in codebooks.items()} == {
        8: (8, WIDTH),
        16: (16, WIDTH),
    }
    assert all(rows.isfinite().all() for rows in codebooks.values())
    description = json.loads((run_folder / "export" / "config.json").read_text())
    config = description["config"]
    # General sound has half of the entries, speech and music a quarter each.
    assert config["entries"]["16"] == {"general": 8, "music": 4, "speech": 4}
    assert config["stack_factor"] == 1
    # 3 s and 12 s of each domain, 50 positions a second, at most 256 per centroid.
    assert config["features"]["general"] == pytest.approx(750, abs=16)
    assert set(config["inertia"]["8"]) == {"general", "music", "speech"}
    assert description["training"]["recipe"] == "codebook/tiny"


def test_centroids_fit_into_8_bits(run_folder):
    codebooks = load_codebooks(run_folder / "export", width=WIDTH, stack_factor=1)
    assert all(to_int8(rows) is not None for rows in codebooks.values())


def test_the_features_do_not_stay_on_disk(run_folder):
    assert sorted(path.name for path in run_folder.iterdir()) == ["export"]


def test_the_same_seed_gives_the_same_codebooks(run_folder, data, audiomae, tmp_path):
    assert main(arguments(data, tmp_path / "same", audiomae)) == 0
    assert main(arguments(data, tmp_path / "other", audiomae, "--seed", "1")) == 0
    first, same, other = (
        load_codebooks(folder / "export", width=WIDTH, stack_factor=1)[16]
        for folder in (run_folder, tmp_path / "same", tmp_path / "other")
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def in_two_processes(words):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [sys.executable, *torchrun, "--no-python", sys.executable, "-c", COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr


def test_two_processes_make_the_codebooks_of_one(run_folder, data, audiomae, tmp_path):
    cache = ("--features", str(tmp_path / "cache"))
    in_two_processes(arguments(data, tmp_path / "two", audiomae, *cache))
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["export"]
    one, two = (
        json.loads((folder / "export" / "config.json").read_text())["config"]
        for folder in (run_folder, tmp_path / "two")
    )
    assert two["features"] == one["features"]
    for size in ("8", "16"):
        assert two["inertia"][size] == pytest.approx(one["inertia"][size], rel=1e-3)
    first, second = (
        load_codebooks(folder / "export", width=WIDTH, stack_factor=1)
        for folder in (run_folder, tmp_path / "two")
    )
    for size in (8, 16):  # stored in steps of 8 bits
        scale = first[size].abs().max()
        assert (first[size] - second[size]).abs().max() < 0.01 * scale

    shares = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*/*.npy")}
    assert len(shares) == 6  # two processes, three domains
    lost = next(iter(shares))
    shutil.rmtree(lost.parent)
    in_two_processes(arguments(data, tmp_path / "again", audiomae, *cache))
    for path, written_at in shares.items():
        assert (path.stat().st_mtime_ns != written_at) == (path == lost)
    again = load_codebooks(tmp_path / "again" / "export", width=WIDTH, stack_factor=1)
    assert all(torch.equal(again[size], second[size]) for size in second)


def test_features_are_kept_for_codebooks_only(data, tmp_path, capsys):
    words = ["train", "vae", "--data", str(data), "-o", str(tmp_path), "--features", "cache"]
    assert main(words) == 2
    assert "vae has no use for --features" in capsys.readouterr().err


def test_every_recipe_has_a_twin_without_domains():
    plain = {name for name in RECIPES if not name.endswith("_pooled")}
    for name in plain:
        pooled = RECIPES[f"{name}_pooled"]()
        assert pooled.name == f"codebook/{name}_pooled" and pooled.shares == ()
        assert pooled.vocab_sizes == RECIPES[name]().vocab_sizes


def test_a_negative_seed_is_refused(data, audiomae, tmp_path, capsys):
    assert main(arguments(data, tmp_path / "run", audiomae, "--seed", "-1")) == 2
    assert "A seed of -1 is not possible" in capsys.readouterr().err


def test_data_without_domains_can_be_pooled(audiomae, tmp_path, capsys):
    data = write_audio(tmp_path / "data", domains=("birds",))
    assert main(arguments(data, tmp_path / "run", audiomae)) == 2
    assert "no recordings of general, music, speech, only of birds" in capsys.readouterr().err
    assert main(arguments(data, tmp_path / "run", audiomae, recipe="tiny_pooled")) == 0
    config = json.loads((tmp_path / "run" / "export" / "config.json").read_text())["config"]
    assert config["entries"] == {"8": {"all": 8}, "16": {"all": 16}}


def test_a_folder_without_sub_folders_is_one_domain(audiomae, tmp_path, caplog):
    write_audio(tmp_path, domains=("recordings",))
    data = tmp_path / "recordings"
    assert main(arguments(data, tmp_path / "run", audiomae)) == 0
    config = json.loads((tmp_path / "run" / "export" / "config.json").read_text())["config"]
    assert config["entries"] == {"8": {"general": 8}, "16": {"general": 16}}
    [message] = [text for text in caplog.messages if "sub-folders" in text]
    assert "no sub-folders general/, music/, speech/" in message and "count as general" in message


def test_the_refusal_says_what_is_wanted(audiomae, tmp_path, capsys):
    data = write_audio(tmp_path / "data", domains=("general", "speech"))
    assert main(arguments(data, tmp_path / "run", audiomae)) == 2
    error = capsys.readouterr().err
    assert "no recordings of music, only of general, speech" in error
    assert "(general 50%, music 25%, speech 25%): name sub-folders of the data" in error


def test_a_broken_recording_is_skipped(audiomae, tmp_path, caplog):
    copy = write_audio(tmp_path / "data")
    # With durations in the list, headers are not read before.
    seconds = {0: 3, 1: 12}
    rows = [
        f"{domain}/{number}.wav,{domain},{seconds[number]}"
        for domain in ("general", "music", "speech")
        for number in seconds
    ]
    (copy / "list.csv").write_text("path,domain,duration_s\n" + "\n".join(rows) + "\n")
    (copy / "music" / "1.wav").write_bytes(b"RIF")
    assert main(arguments(copy / "list.csv", tmp_path / "run", audiomae)) == 0
    [message] = [text for text in caplog.messages if "broken" in text]
    assert "1 so far" in message and "music/1.wav" in message


def test_too_little_audio_is_refused(audiomae, tmp_path, capsys):
    data = write_audio(tmp_path / "data", seconds=(0.05,))
    assert main(arguments(data, tmp_path / "run", audiomae)) == 2
    assert "features are too few for" in capsys.readouterr().err


def test_options_and_modules_without_a_meaning_are_refused(data, audiomae, tmp_path, capsys):
    assert main(arguments(data, tmp_path, audiomae, "--batch-size", "4")) == 2
    assert "no use for --batch-size" in capsys.readouterr().err
    assert main(arguments(data, tmp_path, audiomae, "--module", f"vae={audiomae}")) == 2
    assert "the module audiomae and no other" in capsys.readouterr().err


def test_codebooks_for_other_features_are_refused(tmp_path):
    folder = export_codebook(tmp_path / "codebook", stack_factor=2)
    assert list(load_codebooks(folder, width=2 * WIDTH, stack_factor=2)) == [8, 16]
    with pytest.raises(CheckpointError, match="stack factor 2, but 16 and 1 are needed"):
        load_codebooks(folder, width=WIDTH, stack_factor=1)

"""The language model of the examples, from recordings to a recording that goes on."""

import json

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("transformers")
pytest.importorskip("datasets")
pytest.importorskip("pyarrow")

from conftest import random_codec
from examples.language_model.__main__ import main
from examples.language_model.baselines import Bigram, Unigram
from examples.language_model.continuation import Drawing, continue_codes
from examples.language_model.model import layout_of, load_model
from examples.language_model.pieces import encode_prompt
from examples.language_model.sequences import Rows, codec_of, open_corpus, rows_of
from semanticodec.cli import main as semanticodec
from semanticodec.errors import AudioError, CodesError

SECONDS = (2.0, 3.0, 5.5, 8.0)  # 0, 1, 2 and 3 pieces


@pytest.fixture(scope="module")
def codec_folder(tmp_path_factory):
    return random_codec(25).save_pretrained(tmp_path_factory.mktemp("tiny-25"))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number, duration_s in enumerate(SECONDS):
        time_s = np.arange(round(16_000 * duration_s)) / 16_000
        wav = 0.3 * np.sin(2 * np.pi * (200 + 300 * (time_s % 0.64)) * time_s)
        soundfile.write(folder / f"{number}.wav", wav.astype(np.float32), 16_000)
    return folder


@pytest.fixture(scope="module")
def corpus(recordings, codec_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    manifest = folder / "pieces.jsonl"
    main(["cut", str(recordings), "-o", str(manifest)])
    words = [
        "tokenize",
        manifest,
        "-o",
        folder / "codes",
        "--model",
        codec_folder,
        "--jobs",
        1,
        "-q",
    ]
    assert semanticodec([str(word) for word in words]) == 0
    return folder / "codes"


@pytest.fixture(scope="module")
def trained(corpus, codec_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    words = ["train", corpus, "--valid", corpus, "-o", folder, "--model", codec_folder]
    words += ["--width", 32, "--depth", 1, "--epochs", 20, "--batch-size", 2]
    main([str(word) for word in words])
    return folder


def test_pieces_are_put_together_as_they_were_cut(corpus, recordings, codec_folder):
    codec = codec_of(open_corpus(corpus), str(codec_folder))
    layout = layout_of(codec)
    rows = rows_of(open_corpus(corpus), codec, layout)
    assert len(rows.ids) == 3 and rows.lengths.tolist() == [3 + 64, 3 + 128, 3 + 192]
    for number, row in zip((1, 2, 3), rows.ids):
        prompt = encode_prompt(codec, recordings / f"{number}.wav", num_pieces=4)
        assert layout.decode(row[None]) == prompt
    # An acoustic code has the place of its semantic one.
    is_code = [rows.places[2][rows.streams[2] == stream] for stream in (0, 1)]
    assert torch.equal(*is_code) and is_code[0].tolist() == list(range(1, 97))
    with pytest.raises(AudioError, match="shorter than 2.56 s"):
        encode_prompt(codec, recordings / "0.wav", num_pieces=1)


def test_codes_of_another_model_are_refused(corpus):
    with pytest.raises(CodesError, match="give the model that made it"):
        pieces = open_corpus(corpus).map(lambda _: {"semantic_vocab_size": 4096})
        codec_of(pieces)


def test_counts_are_probabilities():
    streams = torch.tensor([[-1, 0, 0, 0, -1, 1, 1, 1, -1]])
    ids = torch.tensor([[7, 0, 1, 0, 8, 3, 4, 3, 9]])
    rows = Rows(ids, torch.zeros_like(ids), streams)
    unigram = Unigram(rows, (3, 3))
    assert unigram.probability[:3].sum() == pytest.approx(1.0)
    assert unigram.probability.tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6] * 2)
    for bigram in (Bigram(rows, unigram), Bigram(rows, unigram, distance=2)):
        for before in (0, 1, 2):  # seen and never seen
            changed = ids.repeat(3, 1)
            changed[:, 1 : bigram.distance + 1] = before
            changed[:, bigram.distance + 1] = torch.arange(3)
            given = Rows(changed, torch.zeros_like(changed), streams.expand(3, -1))
            found = bigram.log_probability(given)[:, bigram.distance + 1].exp()
            assert found.sum() == pytest.approx(1.0)
    # 1 always followed 0: that counts once, and the unigram as often as it had followers.
    after_0 = Bigram(rows, unigram).log_probability(rows)[0, 2].exp()
    assert after_0 == pytest.approx((1 + 1 * 2 / 6) / (1 + 1))


def test_training_lowers_the_loss_and_keeps_the_best(trained, corpus, codec_folder):
    report = json.loads((trained / "losses.json").read_text())
    losses = [each["both"] for each in report["model"]]
    assert len(losses) == 21 and min(losses) < losses[0] - 1
    assert set(report["counts"]) == {"unigram", "bigram", "bigram of the band"}
    assert (trained / "losses.png").stat().st_size > 1000
    model, codec = load_model(trained, str(codec_folder))
    assert (codec.token_rate, model.config.n_positions) == (25, 97)


def test_a_recording_goes_on(trained, recordings, codec_folder, tmp_path):
    words = ["continue", trained, recordings / "3.wav", "-o", tmp_path, "--model", codec_folder]
    main([str(word) for word in words])
    wav, rate = soundfile.read(tmp_path / "continued.wav")
    assert (len(wav), rate) == (3 * 40_960, 16_000)
    assert (tmp_path / "continued.png").stat().st_size > 1000


def test_a_continuation_keeps_its_prompt_and_depends_on_the_seed(trained, recordings, codec_folder):
    model, codec = load_model(trained, str(codec_folder))
    prompt = encode_prompt(codec, recordings / "3.wav", num_pieces=1)
    found = [
        continue_codes(model, layout_of(codec), prompt, 48, Drawing(seed=seed)).stacked()[0]
        for seed in (0, 0, 1)
    ]
    assert all(each.shape == (2, 48) for each in found)
    assert all(torch.equal(each[:, :32], prompt.stacked()[0]) for each in found)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])

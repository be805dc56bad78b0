"""Recognizers open by name, run offline, and give the same text whatever came before."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.errors import CheckpointError, ConfigError, DataError, MissingDependencyError
from semanticodec.evaluation.metrics.recognizers import open_recognizer
from semanticodec.evaluation.metrics.words import word_errors

DATA = os.environ.get("SEMANTICODEC_DATA")
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|de|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)


def bursts(num_samples: int, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal(num_samples)
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(num_samples) / 16_000)
    return (0.1 * draws * swell).astype(np.float32)


def babble(seed: int, num_samples: int) -> np.ndarray:
    """Three syllables a second of one vowel: harmonics of a voice under three formants."""
    rng, time_s = np.random.default_rng(seed), np.arange(num_samples) / 16_000
    pitch, formants = 100 + 80 * rng.random(), rng.uniform(300, 3500, 3)
    vowel = np.zeros(num_samples)
    for harmonic in range(1, 50):
        gain = np.exp(-(((pitch * harmonic - formants) / 200) ** 2)).sum()
        vowel += gain * np.sin(2 * np.pi * pitch * harmonic * time_s + harmonic**2)
    syllables = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * time_s)
    return (0.1 * vowel * syllables).astype(np.float32) + 0.1 * bursts(num_samples, seed)


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Whisper of random weights that spells in letters."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("tiny-whisper")
    plain = [chr(code) for code in range(33, 127)] + ["Ġ", "Ġa"]
    # faster-whisper looks for the signs that are no speech, such as notes, byte by byte.
    alphabet = pytest.importorskip("tokenizers").pre_tokenizers.ByteLevel.alphabet()
    letters = [*plain, *sorted(set(alphabet) - set(plain)), SPECIAL[0]]
    vocabulary, merges = folder / "letters.json", folder / "letters.txt"
    vocabulary.write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    merges.write_text("#version: 0.2\nĠ a\n")
    tokenizer = transformers.WhisperTokenizer(str(vocabulary), str(merges))
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[1:])})
    # Plain tokens, as in the released models; numbered from the last special one on.
    tokenizer.add_tokens([f"<|{step * 0.02:.2f}|>" for step in range(1501)])
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL}
    special = {"bos_token_id": ids[SPECIAL[0]], "eos_token_id": ids[SPECIAL[0]]}
    special |= {"pad_token_id": ids[SPECIAL[0]], "decoder_start_token_id": ids[SPECIAL[1]]}
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(
            vocab_size=len(tokenizer),
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            max_target_positions=448,  # which faster-whisper takes for granted
            suppress_tokens=None,
            begin_suppress_tokens=None,
            **special,
        )
    )
    model.generation_config = transformers.GenerationConfig(
        is_multilingual=True,
        lang_to_id={name: ids[name] for name in ("<|en|>", "<|de|>")},
        task_to_id={name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
        max_initial_timestamp_index=50,
        max_length=24,
        **special,
    )
    # Random weights end at once; a push toward letters makes them write something.
    with torch.no_grad():
        model.proj_out.weight[: len(plain)] *= 8
    model.save_pretrained(folder)
    extractor = transformers.WhisperFeatureExtractor(feature_size=80)
    transformers.WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize("spec", ["", "kaldi", "pocketsphinx=x", "Whisper"])
def test_an_unknown_recognizer_is_refused(spec):
    with pytest.raises(ConfigError, match=f"no recognizer '{spec}'; use pocketsphinx, whisper"):
        open_recognizer(spec)


@pytest.mark.parametrize("source", ["./no/such", "no-such-folder", "/tmp/x/y", "a/b/c", "../x"])
def test_a_folder_that_is_not_there_is_refused_at_once(source):
    pytest.importorskip("transformers")
    with pytest.raises(ConfigError, match=f"'{source}' is neither a folder nor a Hub id"):
        open_recognizer(f"whisper={source}")


@pytest.mark.parametrize(
    ("spec", "module", "extra"),
    [("pocketsphinx", "pocketsphinx", "eval"), ("whisper", "transformers", "peers")],
)
def test_a_missing_package_is_named(monkeypatch, spec, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"{module}.*'semanticodec\[{extra}\]'"):
        open_recognizer(spec)


def test_whisper_writes_text_offline_and_the_same_every_time(tiny_whisper):
    recognizer = open_recognizer(f"whisper={tiny_whisper}")
    assert recognizer.name == f"whisper ({tiny_whisper.name})"
    text = recognizer.transcribe(bursts(16_000), "en")
    recognizer.transcribe(bursts(8000, seed=1))
    assert text
    assert "<|" not in text
    assert recognizer.transcribe(bursts(16_000), "en-GB") == text
    assert isinstance(recognizer.transcribe(bursts(16_000), "de"), str)


def test_whisper_hears_past_thirty_seconds(tiny_whisper, monkeypatch):
    recognizer = open_recognizer(f"whisper={tiny_whisper}")
    model = recognizer._parts[1]
    heard = []
    generate = model.generate
    monkeypatch.setattr(
        model,
        "generate",
        lambda features, **options: (
            heard.append((features.shape[-1], options["return_timestamps"]))
            or generate(features, **options)
        ),
    )
    recognizer.transcribe(bursts(16_000), "en")
    recognizer.transcribe(bursts(33 * 16_000), "en")
    assert heard == [(3000, False), (3300, True)]


def test_whisper_of_one_language_is_not_asked_for_another(tiny_whisper, tmp_path):
    folder = copy_of(tiny_whisper, tmp_path / "english")
    settings = json.loads((folder / "generation_config.json").read_text())
    settings["is_multilingual"] = False
    (folder / "generation_config.json").write_text(json.dumps(settings))
    assert isinstance(open_recognizer(f"whisper={folder}").transcribe(bursts(4000), "en"), str)


def test_a_language_that_whisper_does_not_know_is_named(tiny_whisper):
    with pytest.raises(DataError, match="does not take the language 'tlh'"):
        open_recognizer(f"whisper={tiny_whisper}").transcribe(bursts(4000), "tlh")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"{}", b"\x00broken"])
def test_a_damaged_or_incomplete_folder_is_refused(tiny_whisper, tmp_path, name, content):
    folder = copy_of(tiny_whisper, tmp_path / "damaged")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        open_recognizer(f"whisper={folder}").transcribe(bursts(4000), "en")


def test_weights_that_are_missing_are_not_drawn_at_random(tiny_whisper, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    folder = copy_of(tiny_whisper, tmp_path / "holes")
    weights = safetensors.load_file(folder / "model.safetensors")
    del weights["model.encoder.conv1.weight"]
    safetensors.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 1 of Whisper's weights.*conv1\.weight"):
        open_recognizer(f"whisper={folder}").transcribe(bursts(4000), "en")


@pytest.fixture(scope="module")
def tiny_ctranslate2(tiny_whisper, tmp_path_factory) -> Path:
    """The tiny Whisper in CTranslate2's form."""
    converters = pytest.importorskip("ctranslate2.converters")
    pytest.importorskip("faster_whisper")
    target = tmp_path_factory.mktemp("converted") / "tiny"
    copies = ["tokenizer.json", "preprocessor_config.json"]
    folder = copy_of(tiny_whisper, target.parent / "copy")
    extractor = json.loads((tiny_whisper / "processor_config.json").read_text())
    (folder / copies[1]).write_text(json.dumps(extractor["feature_extractor"]))
    converters.TransformersConverter(str(folder), copy_files=copies).convert(str(target))
    return target


def test_whisper_of_ctranslate2_writes_text_offline_and_the_same_every_time(tiny_ctranslate2):
    recognizer = open_recognizer(f"whisper={tiny_ctranslate2}")
    assert recognizer.name == "faster-whisper (tiny)"
    text = recognizer.transcribe(bursts(16_000), "en")
    recognizer.transcribe(bursts(8000, seed=1))
    assert text
    assert "<|" not in text
    assert recognizer.transcribe(bursts(16_000), "en-GB") == text


def test_whisper_of_ctranslate2_says_which_languages_it_does_not_know(tiny_ctranslate2):
    recognizer = open_recognizer(f"whisper={tiny_ctranslate2}")
    with pytest.raises(DataError, match=r"\(tiny\) knows English only, not 'de'"):
        recognizer.transcribe(bursts(4000), "de")

    class Multilingual:
        model = SimpleNamespace(is_multilingual=True)

        def transcribe(self, wav, **settings):
            raise ValueError(f"'{settings['language']}' is not a valid language code")

    recognizer.__dict__["_model"] = Multilingual()
    with pytest.raises(DataError, match="does not take the language 'tlh': 'tlh' is not a valid"):
        recognizer.transcribe(bursts(4000), "tlh")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_ctranslate2_folder_without_a_file_is_refused_at_once(tiny_ctranslate2, tmp_path, name):
    folder = copy_of(tiny_ctranslate2, tmp_path / "damaged")
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"lacks {name}; convert the model again"):
        open_recognizer(f"whisper={folder}")


def test_damaged_weights_of_ctranslate2_are_named(tiny_ctranslate2, tmp_path):
    folder = copy_of(tiny_ctranslate2, tmp_path / "damaged")
    (folder / "model.bin").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="could not be loaded from .*damaged"):
        open_recognizer(f"whisper={folder}").transcribe(bursts(4000), "en")


def test_the_missing_faster_whisper_is_named(tmp_path, monkeypatch):
    (tmp_path / "model.bin").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(MissingDependencyError, match=r"faster-whisper.*'semanticodec\[eval\]'"):
        open_recognizer(f"whisper={tmp_path}")


def test_originals_are_heard_once(monkeypatch):
    pytest.importorskip("pocketsphinx")
    recognizer = open_recognizer("pocketsphinx")
    calls = []
    monkeypatch.setattr(
        recognizer, "transcribe", lambda wav, language: calls.append(1) or f"{len(wav)} {language}"
    )
    clips = [(bursts(8000), "en"), (bursts(8000), "en"), (bursts(9000), "en"), (bursts(8000), None)]
    texts = [recognizer.remembered(*clip) for clip in clips]
    assert texts == ["8000 en", "8000 en", "9000 en", "8000 None"] and len(calls) == 3


def test_pocketsphinx_takes_any_clip_and_forgets_earlier_ones():
    pytest.importorskip("pocketsphinx")
    recognizer = open_recognizer("pocketsphinx")
    first = recognizer.transcribe(babble(1, 24_000), "en")
    assert first
    for clip in (np.zeros(0), np.zeros(20), np.zeros(8000), 5 * babble(11, 8000)):
        assert isinstance(recognizer.transcribe(clip.astype(np.float32)), str)
    assert recognizer.transcribe(babble(1, 24_000), "en-US") == first


def test_pocketsphinx_knows_english_only():
    pytest.importorskip("pocketsphinx")
    with pytest.raises(DataError, match="English only, not 'de'; use whisper"):
        open_recognizer("pocketsphinx").transcribe(bursts(4000), "de")


@pytest.mark.skipif(DATA is None, reason="SEMANTICODEC_DATA names no folder with the eval set")
def test_pocketsphinx_hears_most_words_of_clear_readings():
    pytest.importorskip("pocketsphinx")
    folder = Path(DATA or "", "eval")
    lines = (folder / "transcripts.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    recognizer = open_recognizer("pocketsphinx")
    errors = num_words = 0
    for path, _, language, transcript in rows:
        if Path(path).stem not in ("LJ001-0001", "1998-15444-0001"):
            continue
        wav, _ = soundfile.read(folder / path, dtype="float32")
        wrong, words = word_errors(transcript, recognizer.transcribe(wav, language))
        errors, num_words = errors + wrong, num_words + words
    assert num_words == 44
    assert 0.0 < errors / num_words < 0.4

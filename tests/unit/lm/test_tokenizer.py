"""Tokenizers have the ids of the layouts, alone and added to one of text."""

import sys

import pytest
import torch

from semanticodec.codes import Codes
from semanticodec.errors import ConfigError, MissingDependencyError
from semanticodec.lm import Interleaved, Vocabulary
from semanticodec.lm.tokenizer import add_tokens, make_tokenizer
from semanticodec.token_format import TokenFormat

FORMAT = TokenFormat(25, semantic_vocab_size=10, acoustic_vocab_size=20)
CODES = Codes(torch.tensor([[1, 2, 3, 4]]), torch.tensor([[5, 6, 7, 8]]), (100,), FORMAT)


@pytest.fixture
def text_tokenizer():
    """A tokenizer of a few words, as transformers hold it."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    words = tokenizers.models.WordLevel({"?": 0, "say": 1, "hello": 2}, unk_token="?")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")


def test_a_tokenizer_of_codes_alone(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    layout = Interleaved(FORMAT)
    make_tokenizer(layout.vocabulary).save(str(tmp_path / "tokenizer.json"))
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == layout.vocab_size
    row = layout.encode(CODES)[0].tolist()
    text = layout.vocabulary.text(row)
    assert tokenizer.encode(text).ids == row
    assert tokenizer.decode(row, skip_special_tokens=False) == text
    # Special tokens are known as such, so generated text comes without them.
    assert tokenizer.decode(row) == text[len("<|audio_begin|>") : -len("<|audio_end|>")]


def test_tokens_added_to_a_text_tokenizer(text_tokenizer, tmp_path):
    vocabulary = add_tokens(text_tokenizer, FORMAT)
    assert vocabulary.first_id == 3 and len(text_tokenizer) == 3 + vocabulary.size
    text_tokenizer.save_pretrained(tmp_path)
    tokenizer = type(text_tokenizer).from_pretrained(tmp_path)
    layout = Interleaved(FORMAT, first_id=vocabulary.first_id)
    row = layout.encode(CODES)[0].tolist()
    ids = tokenizer("say hello" + vocabulary.text(row) + "hello")["input_ids"]
    assert ids == [1, 2, *row, 2]
    assert layout.decode([ids], num_samples=(100,)) == CODES
    assert layout.vocab_size == len(tokenizer)


def test_tokens_are_added_once(text_tokenizer):
    add_tokens(text_tokenizer, FORMAT)
    with pytest.raises(ConfigError, match="has 35 of the tokens already"):
        add_tokens(text_tokenizer, FORMAT)


def test_a_tokenizer_alone_starts_at_0():
    pytest.importorskip("tokenizers")
    with pytest.raises(ConfigError, match="starts at 0, not at 7"):
        make_tokenizer(Vocabulary(FORMAT, first_id=7))


def test_missing_tokenizers_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match=r"semanticodec\[hf\]"):
        make_tokenizer(Vocabulary(FORMAT))

"""Text tokens and ids name each other; what is no token ends the recording."""

import pytest
import torch

from semanticodec.codes import Codes
from semanticodec.errors import CodesError, ConfigError
from semanticodec.lm import Delayed, Interleaved, Vocabulary
from semanticodec.lm.vocabulary import SPECIAL_TOKENS
from semanticodec.token_format import TokenFormat

FORMAT = TokenFormat(25, semantic_vocab_size=10, acoustic_vocab_size=20)
CODES = Codes(torch.tensor([[1, 2, 3, 4]]), torch.tensor([[5, 6, 7, 8]]), (100,), FORMAT)
TEXT = "<|audio_begin|><|s_1|><|a_5|><|s_2|><|a_6|><|s_3|><|a_7|><|s_4|><|a_8|><|audio_end|>"


@pytest.mark.parametrize("first_id", [0, 500])
def test_text_and_ids_name_each_other(first_id):
    layout = Interleaved(FORMAT, first_id=first_id)
    ids = layout.encode(CODES)[0]
    assert layout.vocabulary.text(ids) == TEXT
    assert torch.equal(layout.vocabulary.ids_of(TEXT), ids)
    every = torch.arange(layout.vocabulary.size) + first_id
    every = every[every != layout.vocabulary.begin]  # text in front of it does not count
    assert torch.equal(layout.vocabulary.ids_of(layout.vocabulary.text(every)), every)


def test_tokens_stand_in_the_order_of_their_ids():
    tokens = Vocabulary(FORMAT).tokens
    assert len(tokens) == len(set(tokens)) == Vocabulary(FORMAT).size == 35
    assert tokens[9:11] == ("<|s_9|>", "<|a_0|>") and tokens[30:] == tuple(SPECIAL_TOKENS.values())


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("><", ">\n <"),  # white space between tokens
        "Say <|s_9|> hello: " + TEXT + " Goodbye.",  # text around the recording
        TEXT.replace("<|audio_end|>", ""),
    ],
)
def test_text_of_a_language_model_decodes(text):
    layout = Interleaved(FORMAT)
    decoded = layout.decode([layout.vocabulary.ids_of(text)], num_samples=(100,))
    assert decoded == CODES


@pytest.mark.parametrize("junk", ["hm", "<|s_10|>", "<|x_1|>", "<|s_1", "|>", "<", "<|s_1 |>"])
def test_text_that_is_no_token_ends_the_recording(junk):
    layout = Interleaved(FORMAT)
    ids = layout.vocabulary.ids_of(TEXT.replace("<|audio_end|>", junk + "<|a_8|>"))
    assert ids[9] == -1
    with pytest.warns(UserWarning, match="id -1 is no semantic code"):
        assert torch.equal(layout.decode([ids]).stacked(), CODES.stacked())


def test_ids_without_text_are_refused():
    known = Vocabulary(FORMAT, first_id=500)
    with pytest.raises(CodesError, match="ids from 3 to 535; this vocabulary has those from 500"):
        known.text([535, 3])
    with pytest.raises(CodesError, match=r"ids of shape \[1, 1\]"):
        known.text([[500]])
    with pytest.raises(ConfigError, match="no text tokens"):
        Delayed(FORMAT).vocabulary.tokens
    assert known.text([]) == ""

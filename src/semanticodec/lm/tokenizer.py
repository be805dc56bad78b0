"""Text tokens of codes for Hugging Face's `tokenizers` and `transformers` (extra `hf`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semanticodec.errors import ConfigError, MissingDependencyError
from semanticodec.lm.vocabulary import SPECIAL_TOKENS, Vocabulary
from semanticodec.token_format import TokenFormat

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase


def make_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """Return a tokenizer of codes alone, whose ids are those of the layouts.

    Args:
        vocabulary: a layout's, with a `first_id` of 0.
    Returns:
        What reads and writes `<|s_12|><|a_7|>`; text between tokens becomes `<|audio_pad|>`.
    Raises:
        ConfigError: ids that do not start at 0, or a layout with several rows.
        MissingDependencyError: tokenizers is not installed.
    """
    try:
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    except ImportError as error:
        raise MissingDependencyError(
            "tokenizers is missing; install it with pip install 'semanticodec[hf]'"
        ) from error
    if vocabulary.first_id:
        raise ConfigError(
            f"a tokenizer of codes alone starts at 0, not at {vocabulary.first_id}; to add codes "
            "to a text tokenizer, use add_tokens"
        )
    pad = SPECIAL_TOKENS["pad"]
    ids = {token: place for place, token in enumerate(vocabulary.tokens)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=pad))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"<\|[^|<>\s]+\|>"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS.values()))
    return tokenizer


def add_tokens(tokenizer: PreTrainedTokenizerBase, format: TokenFormat) -> Vocabulary:
    """Add the codes to a text tokenizer of transformers.

    Then `model.resize_token_embeddings(len(tokenizer))`, and layouts with the `first_id` that
    comes back.

    Args:
        tokenizer: changed in place.
        format: a codec's `format`.
    Returns:
        The vocabulary, whose ids are the tokenizer's.
    Raises:
        ConfigError: a tokenizer that has some of the tokens already.
    """
    vocabulary = Vocabulary(format, first_id=len(tokenizer))
    known = [token for token in vocabulary.tokens if token in tokenizer.get_vocab()]
    if known:
        raise ConfigError(
            f"the tokenizer has {len(known)} of the tokens already, such as {known[0]}; add codes "
            "once, to the tokenizer as it was before"
        )
    tokenizer.add_tokens(list(vocabulary.tokens))
    return vocabulary

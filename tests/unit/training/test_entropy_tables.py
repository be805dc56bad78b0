"""Tables learn what is to be learned, and the integers keep it."""

import numpy as np
import pytest
import torch

from semanticodec import Codes
from semanticodec.container.entropy import EntropyCoder
from semanticodec.errors import DataError
from semanticodec.token_format import TokenFormat
from semanticodec.training.entropy_tables import EntropyRecipe, train_tables

FORMAT = TokenFormat(token_rate=25, semantic_vocab_size=32, acoustic_vocab_size=8)
# The last two acoustic codes of the vocabulary do not exist: six are no power of two.
VECTORS = torch.randn(32, 5, generator=torch.Generator().manual_seed(0)), torch.eye(6)
RECIPE = EntropyRecipe(hidden=12, epochs=4, batch_size=64, lr=0.02)


def drifting_codes(seed: int) -> Codes:
    """Return semantic codes that change seldom, and acoustic ones that follow from them."""
    random = np.random.default_rng(seed)
    semantic = random.integers(0, 32, (4, 1)).repeat(32, axis=1)
    for column in range(1, 32):
        is_new = random.random(4) < 0.1
        semantic[:, column] = np.where(is_new, random.integers(0, 32, 4), semantic[:, column - 1])
    semantic = semantic.T.reshape(1, -1)
    return Codes(semantic, semantic % 3, (163_840,), FORMAT)


def coded_bits(coder: EntropyCoder, codes: Codes) -> float:
    semantic, acoustic = codes.stacked()[0].numpy()
    payload = coder.encode(semantic, acoustic)
    decoded = coder.decode(payload, len(semantic))
    np.testing.assert_array_equal(np.stack(decoded), np.stack((semantic, acoustic)))
    return 8 * len(payload) / len(semantic)


def test_tables_shorten_codes_that_follow_from_others_as_much_as_training_says() -> None:
    told: dict[str, list[float]] = {"semantic": [], "acoustic": []}
    tables = train_tables(
        [drifting_codes(seed) for seed in range(16)],
        VECTORS,
        RECIPE,
        lambda stream, bits: told[stream].append(bits),
    )
    assert [len(bits) for bits in told.values()] == [RECIPE.epochs] * 2
    coder = EntropyCoder(FORMAT, tables)
    bits = np.mean([coded_bits(coder, drifting_codes(seed)) for seed in range(16)])
    assert bits < 3  # of 8; 1.2 is what there is in them
    assert bits < told["semantic"][-1] + told["acoustic"][-1] + 0.2  # 15 bits a block are lost
    assert coded_bits(coder, drifting_codes(99)) < 4


def test_codes_of_several_settings_are_refused() -> None:
    other = Codes([[1] * 4], [[1] * 4], (5120,), FORMAT, semantic_vocab_size=16)
    with pytest.raises(DataError, match="several models"):
        train_tables([drifting_codes(0), other], VECTORS, RECIPE)
    with pytest.raises(DataError, match="no codes"):
        train_tables([], VECTORS, RECIPE)

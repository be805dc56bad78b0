"""Keys tell ids apart and lead nowhere else."""

import re
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from semanticodec.corpus.formats.keys import key_of

IDS = st.one_of(
    st.text(st.sampled_from("aÄ/._%5F \n"), min_size=1, max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.text(st.sampled_from("a/."), min_size=180, max_size=1500),
)


@given(st.lists(IDS, min_size=2, max_size=10, unique=True))
def test_different_ids_have_different_keys(ids):
    assert len({key_of(id) for id in ids}) == len(ids)


@given(IDS)
def test_a_key_is_a_path_that_stays_in_its_folder(id):
    key = key_of(id)
    path = PurePosixPath(key)
    assert str(path) == key and not path.is_absolute()
    assert not re.search(r"[\s.\0]", key)
    assert all(0 < len(part.encode()) <= 200 for part in path.parts)
    assert len(key.encode()) <= 1000


def test_keys_of_plain_ids_are_the_ids():
    for id in ("speech/utt_1-a", "音/é", "a=1,b=2", "_b_"):
        assert key_of(id) == id
    assert key_of("a b/c.wav") == "a%20b/c%2Ewav"
    assert key_of("__a__/b") == "%5F_a__/b"  # WebDataset leaves out such names
    assert key_of("/../") == "%/%2E%2E/%"

"""What fuzzing has found stays mended: the corpus is replayed."""

import zipfile
from importlib import import_module

import pytest

from fuzz.__main__ import CORPUS, TARGETS

# Each input of this target builds a codec: together they take twenty seconds.
SLOW = {"config": pytest.mark.slow}


@pytest.mark.parametrize(
    "target", [pytest.param(name, marks=SLOW.get(name, ())) for name in TARGETS]
)
def test_the_corpus_is_replayed(target: str) -> None:
    check = import_module(f"fuzz.{target}").check
    with zipfile.ZipFile(CORPUS / f"{target}.zip") as archive:
        names = archive.namelist()
        assert names
        for name in names:
            check(archive.read(name))

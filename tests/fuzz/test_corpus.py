"""What fuzzing has found stays mended: the corpus is replayed."""

import zipfile
from importlib import import_module

import pytest

from fuzz.__main__ import CORPUS, TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_is_replayed(target: str) -> None:
    check = import_module(f"fuzz.{target}").check
    with zipfile.ZipFile(CORPUS / f"{target}.zip") as archive:
        names = archive.namelist()
        assert names
        for name in names:
            check(archive.read(name))

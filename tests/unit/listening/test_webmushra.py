"""webMUSHRA gets every page, with the reference apart from the conditions."""

import pytest

from listening_tests import make_test
from semanticodec.errors import ConfigError, OutputExistsError
from semanticodec.listening.plan import ABX
from semanticodec.listening.webmushra import export

yaml = pytest.importorskip("yaml")


def test_the_configuration_names_files_that_are_there(tmp_path):
    test = make_test(tmp_path)
    path = export(test.folder, tmp_path / "out", "mine")
    assert path == tmp_path / "out/configs/mine.yaml"
    content = yaml.safe_load(path.read_text())
    training, (order, *pages), end = content["pages"]
    assert (content["testId"], order, end["type"]) == ("mine", "random", "finish")
    assert len({page["id"] for page in pages}) == 5
    for page, planned in zip([training, *pages], test.plan.pages):
        # webMUSHRA adds the hidden reference itself, and must make no anchors of its own.
        assert list(page["stimuli"]) == ["anchor 3.5 kHz", "anchor 7 kHz", "one", "half"]
        assert not page["createAnchor35"] and not page["createAnchor70"]
        for name, copied in {"reference": page["reference"], **page["stimuli"]}.items():
            original = (test.folder / planned.sounds[name]).read_bytes()
            assert (tmp_path / "out" / copied).read_bytes() == original
    with pytest.raises(OutputExistsError, match="another --name"):
        export(test.folder, tmp_path / "out", "mine")


def test_abx_is_refused(tmp_path):
    test = make_test(tmp_path, mode=ABX)
    with pytest.raises(ConfigError, match="export a MUSHRA test"):
        export(test.folder, tmp_path / "out", "mine")

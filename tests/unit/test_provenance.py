"""Results files are whole, say where they come from, and hold no NaN."""

import json
import re

import pytest

import semanticodec
from semanticodec.files import write_json, write_text
from semanticodec.provenance import provenance


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "results.json"
    write_json(path, {"mean": 1.5, "name": "ä"})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"mean": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"mean": 1.5, "name": "ä"}
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_a_failed_write_leaves_the_old_text(tmp_path):
    path = tmp_path / "report.md"
    write_text(path, "old")
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.md"]


def test_provenance_says_when_where_and_with_what():
    origin = provenance()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", origin["date"])
    assert origin["machine"]["cores"] >= 1
    assert origin["machine"]["processor"] and origin["machine"]["platform"]
    assert origin["versions"]["semanticodec"] == semanticodec.__version__
    assert {"python", "torch", "numpy"} <= set(origin["versions"])
    json.dumps(origin)

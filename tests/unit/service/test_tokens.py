"""Files of tokens, and who is let in."""

import pytest

from semanticodec.errors import ConfigError
from semanticodec.service.refusals import Unauthorized
from semanticodec.service.settings import ServiceSettings
from semanticodec.service.tokens import check_token, read_tokens

FIRST, SECOND = "first-token-0123", "second-token-4567"


def test_tokens_of_a_file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# of two clients\n{FIRST}\n\n  {SECOND}\n")
    assert read_tokens(path) == (FIRST, SECOND)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "holds no token"), ("short", "can be guessed"), ("ü" * 20, "can be guessed")],
)
def test_files_that_hold_none(tmp_path, text, words):
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_tokens(path)
    assert not text or text not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tokens(tmp_path / "missing")


def test_any_of_the_tokens_opens_and_nothing_else():
    for good in (FIRST, SECOND):
        check_token(good, (FIRST, SECOND))
    for bad in (None, "", FIRST[:-1], FIRST + "x", "\udcff"):
        with pytest.raises(Unauthorized):
            check_token(bad, (FIRST, SECOND))
    check_token(None, ())


@pytest.mark.parametrize("name", ["max_body_mb", "max_seconds", "max_active", "batch_windows"])
def test_settings_out_of_range(name):
    with pytest.raises(ConfigError, match=f"{name} is -1; give"):
        ServiceSettings(**{name: -1})

"""Old specifications have new ones, and new ones stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.cli.old_specs import current_form, current_form_of_features


@given(st.text())
def test_any_text_has_a_current_form(text):
    assert current_form(current_form(text)) == current_form(text)


@pytest.mark.parametrize(
    ("old", "current"),
    [
        ("opus@6", "opus:kbps=6"),
        ("codec2@700C,name=a", "codec2:mode=700C,name=a"),
        ("model=runs/best,steps=25", "model:path=runs/best,steps=25"),
        ("model,steps=25", "model:steps=25"),
        (r"folder=C:\decoded,kbps=2", r"folder:path=C:\decoded,kbps=2"),
        ("dac@9,path=x", "dac:books=9,path=x"),
        ("speex", "speex"),
        ("model:path=a=b,steps=2", "model:path=a=b,steps=2"),
    ],
)
def test_old_forms_have_new_ones(old, current):
    assert current_form(old) == current


@pytest.mark.parametrize(
    ("old", "current"),
    [
        ("model:all", "model:layers=all"),
        ("model=runs/best,name=ours:semantic", "model:path=runs/best,name=ours,layers=semantic"),
        (r"model=C:\models\ours", r"model:path=C:\models\ours"),
        ("encodec@1.5:first", "encodec:kbps=1.5,layers=first"),
        ("log-mel", "log-mel"),
        ("model:path=x,layers=all", "model:path=x,layers=all"),
    ],
)
def test_old_forms_of_features_too(old, current):
    assert current_form_of_features(old) == current

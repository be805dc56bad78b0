"""Shapes in signatures are checked while tests run, readable, and in the letters of the docs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch

import semanticodec
from semanticodec.audio.windows import Window
from semanticodec.encoder.encoder import mask_padding
from semanticodec.layers.stacking import stack_patches

PACKAGE = Path(semanticodec.__file__).parent
LEGEND = Path(__file__).parents[2] / "docs" / "shapes.md"


def annotated_shapes() -> Iterator[tuple[str, str]]:
    """Yield every shape of the package's source and where it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
                continue
            kind = getattr(jaxtyping, node.value.id, None)
            if kind is None or not isinstance(node.slice, ast.Tuple) or len(node.slice.elts) != 2:
                continue
            shape = node.slice.elts[1]
            where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
            assert isinstance(shape, ast.Constant) and isinstance(shape.value, str), where
            yield shape.value, where


def test_a_wrong_shape_is_refused() -> None:
    features, valid = torch.zeros(2, 8, 4), torch.ones(2, 8, dtype=torch.bool)
    mask_padding(features, valid)
    with pytest.raises(jaxtyping.TypeCheckError, match="mask_padding"):
        mask_padding(features, valid[:, 1:])
    with pytest.raises(jaxtyping.TypeCheckError, match="stack_patches"):
        stack_patches(features[0], 1)


def test_a_wrong_shape_is_refused_in_a_dataclass() -> None:
    Window(wav=torch.zeros(1, 5120), num_samples=5120, is_last=True)
    with pytest.raises(jaxtyping.TypeCheckError, match="wav"):
        Window(wav=torch.zeros(5120), num_samples=5120, is_last=True)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_test_may_hand_over_wrong_shapes_on_purpose() -> None:
    with pytest.raises(RuntimeError, match="must match the size"):
        mask_padding(torch.zeros(2, 8, 4), torch.ones(2, 7, dtype=torch.bool))


def test_every_shape_can_be_read() -> None:
    shapes = list(annotated_shapes())
    assert len(shapes) > 500
    for shape, where in shapes:
        for axis in shape.split():
            if axis != "...":
                ast.parse(axis.lstrip("*").replace("{", "(").replace("}", ")"), mode="eval")
        assert jaxtyping.Float[torch.Tensor, shape], where


def test_every_letter_stands_in_the_legend() -> None:
    letters = set(re.findall(r"^\| `([A-Z])` \|", LEGEND.read_text("utf-8"), re.MULTILINE))
    unknown = {
        f"{where}: {shape}"
        for shape, where in annotated_shapes()
        for letter in re.findall(r"\b_?([A-Z])\d?\b", re.sub(r"\{.*?\}", "", shape))
        if letter not in letters
    }
    assert unknown == set()

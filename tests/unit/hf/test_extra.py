"""transformers stays an extra: the package does without it, and its folder says what is missing."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.modules["transformers"] = None  # as if it were not installed
import semanticodec.codec, semanticodec.compat, semanticodec.cli.evaluate
{last}
"""


@pytest.mark.parametrize(
    ("last", "expected"),
    [("", ""), ("import semanticodec.hf", "pip install 'semanticodec[hf]'")],
)
def test_only_the_folder_needs_transformers(last, expected):
    command = [sys.executable, "-c", PROGRAM.format(last=last)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == (1 if expected else 0), finished.stderr
    assert expected in finished.stderr

"""The demo reports nothing to anybody, whatever its packages do by default."""

import subprocess
import sys

PROGRAM = """
import sys
from semanticodec.cli import build_parser
build_parser()
assert "huggingface_hub" not in sys.modules and "gradio" not in sys.modules
from semanticodec.pages.demo.privacy import report_nothing
report_nothing()
from huggingface_hub import constants
print(constants.HF_HUB_DISABLE_TELEMETRY)
"""


def test_reports_are_off_before_the_packages_are_imported():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert ran.stdout.strip() == "True", ran.stderr

"""Let libFuzzer call a target: `python -m fuzz.explore container -runs=1000 FOLDER`."""

import logging
import shlex
import sys
from importlib import import_module

import atheris


def main() -> None:
    """Never return: libFuzzer ends the process."""
    target, *words = sys.argv[1:]
    with atheris.instrument_imports(include=["semanticodec"]):
        check = import_module(f"fuzz.{target}").check
    logging.disable()
    # Merging runs this name as a command.
    command = shlex.join([sys.executable, "-m", "fuzz.explore", target])
    atheris.Setup([command, *words], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

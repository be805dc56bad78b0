"""Look for inputs that break a target, by coverage: `make fuzz TARGET=container`.

New inputs that reach new code join the target's corpus; one that breaks it is printed and kept as
`crash-...` in the working folder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
TARGETS = ("container", "config", "manifests")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bytes for the same corpus
LONGEST = 4096


def main() -> None:
    """Fuzz one target for some time, then leave the fewest inputs that reach as much."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600, help="(default: 600)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found, least = Path(name, "found"), Path(name, "least")
        found.mkdir()
        least.mkdir()
        unpack(options.target, found)
        status = _run(options.target, [f"-max_total_time={options.seconds}", str(found)])
        _run(options.target, ["-merge=1", str(least), str(found)])
        pack(options.target, least)
    sys.exit(status)


def _run(target: str, words: list[str]) -> int:
    """Run libFuzzer, which ends its process, in one of its own."""
    words = [f"-max_len={LONGEST}", "-timeout=30", "-rss_limit_mb=4096", *words]
    command = [sys.executable, "-m", "fuzz.explore", target, *words]
    return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode


def unpack(target: str, folder: Path) -> None:
    """Write the inputs of a target's corpus as files."""
    path = CORPUS / f"{target}.zip"
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)


def pack(target: str, folder: Path) -> None:
    """Replace a target's corpus."""
    with zipfile.ZipFile(CORPUS / f"{target}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(zipfile.ZipInfo(path.name, EPOCH), path.read_bytes())


if __name__ == "__main__":
    main()

"""Reading a header must not cost the start of torch."""

import subprocess
import sys


def test_container_imports_without_torch() -> None:
    program = (
        "import sys, semanticodec.container\n"
        "heavy = {'torch', 'jaxtyping', 'scipy', 'soundfile', 'safetensors'} & set(sys.modules)\n"
        "print(*sorted(heavy))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == []

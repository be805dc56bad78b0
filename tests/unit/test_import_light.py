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


def test_a_round_trip_leaves_the_compiler_alone() -> None:
    code = (
        "import sys, torch; from semanticodec import SemantiCodec;"
        "codec = SemantiCodec.from_pretrained();"
        "codec.decode(codec.encode(torch.randn(4000)), num_steps=1);"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    # It would take more than a second of every command.
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

"""Laws of the check: it says what is missing, and works where packages are."""

import subprocess
import sys

from experiments.accelerator import machine
from experiments.accelerator.__main__ import main
from experiments.accelerator.machine import Package

MISSING = Package("no_such_module", "no-such-package", "this test")


def test_a_missing_package_is_named_with_the_way_to_bring_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(machine, "PACKAGES", (MISSING,))
    assert main(["check", "-o", str(tmp_path / "run"), "--packs", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "MISSING  no-such-package: this test" in out
    assert "pip download" in out and "-d wheels no-such-package" in out
    assert "cannot be checked before" in out


def test_what_can_be_done_without_is_no_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "PACKAGES", (MISSING._replace(is_needed=False),))
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        machine.torch.cuda,
        "get_device_properties",
        lambda index: type("Properties", (), {"name": "a GPU", "total_memory": 80 << 30}),
    )
    monkeypatch.setattr(machine, "DISK_GIB", 0)
    assert main(["check", "-o", str(tmp_path)]) == 0


def test_the_check_imports_nothing_that_may_be_missing():
    names = ["soundfile", "soxr", "swift_f0", "faiss", "tensorboard", "pandas", "pebble"]
    code = f"import sys; sys.modules.update(dict.fromkeys({names})); import experiments.accelerator"
    code += ".__main__"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

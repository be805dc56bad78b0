"""What stands in pyproject.toml, constraints.txt and the package agrees."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import semanticodec

ROOT = Path(__file__).resolve().parents[2]


def pinned():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def required():
    try:
        return [Requirement(text) for text in importlib.metadata.requires("semanticodec") or []]
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("semanticodec is not installed, only on the path")


def test_installed_version_is_the_packages():
    required()
    assert importlib.metadata.version("semanticodec") == semanticodec.__version__


def test_requirements_are_lower_bounds_and_pins_are_exact():
    for requirement in required():
        assert [clause.operator for clause in requirement.specifier] == [">="], requirement
    for pin in pinned():
        assert [clause.operator for clause in pin.specifier] == ["=="], pin


def is_needed(requirement, environment):
    """Whether anybody needs it there, for the package itself or for one of its extras."""
    extras = importlib.metadata.metadata("semanticodec").get_all("Provides-Extra")
    return requirement.marker is None or any(
        requirement.marker.evaluate({**environment, "extra": extra}) for extra in extras
    )


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_requirement_is_pinned_once_for_every_python(python):
    environment = {"python_version": python, "python_full_version": f"{python}.4"}
    versions = {}
    for pin in pinned():
        if pin.marker is None or pin.marker.evaluate(environment):
            name = re.sub(r"[-_.]+", "-", pin.name).lower()
            assert name not in versions, f"{name} is pinned twice for Python {python}"
            versions[name] = pin.specifier
    for requirement in required():
        if not is_needed(requirement, environment):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in versions, f"{name} has no pin for Python {python}"
        version = next(iter(versions[name])).version
        assert requirement.specifier.contains(version), f"{name} {version}"


def test_torch_is_held_where_the_makefile_finds_it():
    assert re.search(r"^torch==2\.13\.0$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_the_command_is_installed():
    (script,) = [
        entry
        for entry in importlib.metadata.entry_points(group="console_scripts")
        if entry.name == "semanticodec"
    ]
    assert callable(script.load())


def test_type_checkers_may_use_the_annotations():
    assert (Path(semanticodec.__file__).parent / "py.typed").is_file()

"""What users install: the wheel carries the specs and runs without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*words: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("K8SFSM", "PYTHON"))}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without the network."""
    out = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", out, CHECKOUT, cwd=out)
    (found,) = out.glob("k8sfsm-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of a fresh environment with the wheel in it; libraries are those of the tests'."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, with_pip=False)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    scheme = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=scheme))
    # A path line lends the libraries, but not the checkout that may be installed beside them.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python")
    run(*pip, "install", "--no-deps", "--no-index", "--force-reinstall", "--quiet", wheel, cwd=folder)
    return programs


def test_it_carries_specs_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"k8sfsm/py.typed", "k8sfsm_cli/app.py"} <= names
    specs = CHECKOUT / "specs"
    expected = {f"k8sfsm/_specs/{file.relative_to(specs).as_posix()}" for file in specs.rglob("*.yaml")}
    assert expected <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "specs/"))]


def test_the_program_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "k8sfsm", "--version", cwd=tmp_path).startswith("k8sfsm, version ")
    assert "create-missing" in run(installed / "k8sfsm", "spec", "show", "ReplicaSet/manage", cwd=tmp_path)
    ask = "import k8sfsm, k8sfsm.spec; print(k8sfsm.__file__, k8sfsm.spec.specs_dir())"
    module, specs = run(installed / "python", "-c", ask, cwd=tmp_path).split()
    assert Path(specs) == Path(module).parent / "_specs"
    assert Path(module).is_relative_to(installed.parent.resolve())

"""What an index or ``pip install`` would take: the sources, and nothing that happens to lie beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "src/tidegate_client"
FOREIGN = ["foreign-1.0-py3-none-any.whl", "foreign-1.0.tar.gz", ".env", "key.pem", "notes.txt", "lib.so"]
OF_SDIST = {".gitignore", "PKG-INFO", "README.md", "pyproject.toml"}


def sources() -> set[str]:
    """Everything in the package's folder but what Python itself leaves there."""
    found = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(ROOT / "src").as_posix() for path in found}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and a source distribution, built from a copy with foreign files among the sources."""
    copy = tmp_path_factory.mktemp("package")
    for name in ("pyproject.toml", "README.md", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src")
    for folder in (copy, copy / "src", copy / PACKAGE):
        for name in FOREIGN:
            (folder / name).write_bytes(b"")
    command = [sys.executable, "-m", "hatchling", "build"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "dist"


def test_sources_are_python_alone() -> None:
    strange = {name for name in sources() if not name.endswith((".py", "/py.typed"))}
    assert strange == set()


def test_wheel_holds_the_sources_alone(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    files = {name for name in names if ".dist-info/" not in name}
    assert files == sources()
    about = {name.split("/")[1] for name in names if ".dist-info/" in name}
    assert about == {"METADATA", "RECORD", "WHEEL"}


def test_source_distribution_holds_the_sources_and_what_builds_them(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        files = {member.name.split("/", 1)[1] for member in opened.getmembers() if member.isfile()}
    assert files == {f"src/{name}" for name in sources()} | OF_SDIST

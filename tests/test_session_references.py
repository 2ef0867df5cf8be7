"""The Python API takes the references of a chat; what docs/references.md shows works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from ragline import open_ragline
from ragline.api.wire_chat import Reference
from ragline.errors import BadInput, Forbidden, TooLarge

DOC = (Path(__file__).resolve().parents[1] / "docs" / "references.md").read_text(encoding="utf-8")
NOTE = "La garantie de la pompe Zéphyr est de 27 mois."
LOIRE = "La Loire coule à travers la ville. " * 40


@pytest.fixture
def folder(tmp_path: Path, models_folder: Path) -> Path:
    (tmp_path / "ragline-data").mkdir()
    (tmp_path / "ragline-data" / "models").symlink_to(models_folder)
    return tmp_path


async def test_texts_filters_and_whole_files_in_python(folder: Path) -> None:
    (folder / "note.txt").write_text(NOTE, encoding="utf-8")
    (folder / "loire.txt").write_text(LOIRE, encoding="utf-8")
    settings = {"prefect.enabled": False, "retrieval.full_tokens": 100}
    async with open_ragline(folder / "ragline-data", **settings) as rag:
        files = await rag.ingest(folder / "note.txt", folder / "loire.txt", collection="été")
        question = "Combien de temps dure la garantie ?"
        found = await rag.retrieve(question, collection="été", metadata={"name": "note.txt"})
        assert [source.name for source in found.sources] == ["note.txt"]
        found = await rag.retrieve(question, files=files[:1], full=True, texts={"loire": "La Loire coule."})
        assert [source.hits[0].passage.chunk.text for source in found.sources] == [NOTE, "La Loire coule."]
        assert "27 mois" in (await rag.ask(question, texts={"note": NOTE})).text
        with pytest.raises(TooLarge, match="100 are allowed"):
            await rag.retrieve(question, collection="été", full=True)
        with pytest.raises(Forbidden, match="refused"):
            await rag.ask(question, urls=["http://127.0.0.1/"])
        with pytest.raises(BadInput, match=r"texts=… or urls=…"):
            await rag.retrieve(question)


def test_the_script_of_the_docs_answers(folder: Path) -> None:
    [script] = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    (folder / "script.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert "27 mois" in done.stdout


def test_the_references_of_the_docs_are_references() -> None:
    blocks = re.findall(r"```json\n(.*?)```", DOC, re.DOTALL)
    kinds = {
        reference.type
        for block in blocks
        for reference in TypeAdapter(list[Reference]).validate_python(json.loads(block))
    }
    assert kinds == {"file", "collection", "text", "url"}

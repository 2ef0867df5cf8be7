"""A model in a folder: what its files say is done, what cannot be done is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ragline.config.load import load_settings
from ragline.config.settings import Embedder as Settings
from ragline.connectors.embedders import open_embedder
from ragline.connectors.embedders.folder import read_folder
from ragline.errors import SetupError

from .test_contract import PASSAGES
from .tiny import write_tiny

UNUSED = Path("unused")


def settings_of(folder: Path, **more: object) -> Settings:
    return Settings.model_validate({"kind": "folder", "path": folder, "runtime": "onnxruntime", "threads": 1, **more})


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({}, 256, id="sentence_bert_config"),
        pytest.param({"tokenizer_config.json": {"model_max_length": 128}}, 128, id="tokenizer_config"),
        pytest.param({"config.json": {"model_type": "roberta", "max_position_embeddings": 130}}, 128, id="positions"),
    ],
)
def test_the_shortest_limit_in_the_files_counts(tmp_path: Path, files: dict[str, object], limit: int) -> None:
    assert read_folder(write_tiny(tmp_path, PASSAGES, files=files)).max_tokens == limit


async def test_cls_pooling_takes_the_first_token(tmp_path: Path) -> None:
    pooling: dict[str, object] = {"1_Pooling/config.json": {"pooling_mode_cls_token": True}}
    embedder = await open_embedder(settings_of(write_tiny(tmp_path, PASSAGES, files=pooling)), folder=UNUSED)
    first, second = await embedder.embed_passages(PASSAGES[:2])
    await embedder.close()
    assert np.allclose(first, second)  # [CLS] stands first in both, and this model mixes nothing


async def test_prefixes_are_put_before_texts(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path, [*PASSAGES, "passage query"], graph="onnx/model.onnx")
    plain = await open_embedder(settings_of(folder), folder=UNUSED)
    prefixed = await open_embedder(settings_of(folder, query_prefix="query ", passage_prefix="passage "), folder=UNUSED)
    assert np.allclose(
        await prefixed.embed_passages(PASSAGES[:1]), await plain.embed_passages([f"passage {PASSAGES[0]}"]), atol=1e-6
    )
    assert np.allclose(
        await prefixed.embed_query(PASSAGES[0]), await plain.embed_query(f"query {PASSAGES[0]}"), atol=1e-6
    )
    assert prefixed.count_tokens(PASSAGES) == plain.count_tokens(PASSAGES)
    await plain.close()
    await prefixed.close()


def test_the_id_changes_with_what_changes_vectors_and_with_nothing_else(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "tiny", PASSAGES)
    model_id = read_folder(folder).model_id
    assert model_id.startswith("tiny/")
    assert read_folder(folder, query_prefix="q: ").model_id == model_id
    assert read_folder(folder, passage_prefix="p: ").model_id != model_id
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / "tiny")
    assert read_folder(moved).model_id == model_id
    write_tiny(moved, PASSAGES[:5])
    assert read_folder(moved).model_id != model_id


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({"1_Pooling/config.json": {"pooling_mode_max_tokens": True}}, "max_tokens", id="max pooling"),
        pytest.param({"modules.json": [{"type": "sentence_transformers.models.Dense"}]}, "Dense", id="a dense layer"),
        pytest.param({"config.json": [1]}, "config.json", id="not an object"),
    ],
)
def test_a_model_that_needs_more_is_refused(tmp_path: Path, files: dict[str, object], says: str) -> None:
    with pytest.raises(SetupError, match=says):
        read_folder(write_tiny(tmp_path, PASSAGES, files=files))


def test_graphs_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="pixel_values"):
        read_folder(write_tiny(tmp_path, PASSAGES, inputs=["input_ids", "pixel_values"]))
    (tmp_path / "model.onnx").write_bytes(b"half")
    with pytest.raises(SetupError, match="damaged"):
        read_folder(tmp_path)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"tokenizer\.json"):
        read_folder(tmp_path)


async def test_a_prefix_longer_than_the_model_reads_is_refused(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path, PASSAGES)
    embedder = await open_embedder(settings_of(folder, passage_prefix="museum " * 300), folder=UNUSED)
    with pytest.raises(SetupError, match="leaves no room in 256"):
        await embedder.embed_passages(["hello"])
    await embedder.close()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        pytest.param('kind = "folder"', "needs embedder.path", id="no path"),
        pytest.param('path = "models/minilm"', "no other kind has one", id="a path too much"),
        pytest.param('passage_prefix = "passage: "', "has its own", id="prefix of the packaged model"),
    ],
)
def test_settings_that_contradict_each_other_are_explained(tmp_path: Path, lines: str, says: str) -> None:
    file = tmp_path / "ragline.toml"
    file.write_text(f"[embedder]\n{lines}\n", encoding="utf-8")
    with pytest.raises(SetupError, match=says):
        load_settings(toml=file)

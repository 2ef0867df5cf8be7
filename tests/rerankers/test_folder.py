"""A cross-encoder in a folder: nothing is cut in silence, and models of another kind are refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ragline.config.settings import Reranker as Settings
from ragline.connectors.rerankers.folder import LocalReranker, open_folder, read_folder
from ragline.errors import SetupError, TooLarge

from .tiny import BIAS, BOTH, write_tiny

KNOWN = ["la durée de garantie de la pompe est de 27 mois", "autre chose dite ici", "mot"]


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


async def opened(folder: Path) -> LocalReranker:
    return await open_folder(Settings(kind="folder", path=folder, threads=1))


@pytest.mark.parametrize("labels", [1, 2])
async def test_the_score_is_the_probability_that_the_passage_fits(tmp_path: Path, labels: int) -> None:
    reranker = await opened(write_tiny(tmp_path, KNOWN, labels=labels))
    scores = await reranker.rank("garantie pompe durée", ["durée de garantie de la pompe", "autre chose"])
    assert scores == pytest.approx([sigmoid(3 + BIAS), sigmoid(BIAS)])
    await reranker.close()


async def test_a_model_without_token_types_reads_question_and_passage(tmp_path: Path) -> None:
    reranker = await opened(write_tiny(tmp_path, KNOWN, inputs=BOTH[:2]))
    scores = await reranker.rank("mot", ["mot mot", "autre"])
    assert scores == pytest.approx([sigmoid(3 + BIAS), sigmoid(1 + BIAS)])
    await reranker.close()


async def test_of_a_long_passage_the_best_window_counts_wherever_it_is(tmp_path: Path) -> None:
    reranker = await opened(write_tiny(tmp_path, KNOWN, max_tokens=32))
    fits = "durée de garantie de la pompe"
    other = "autre chose dite ici " * 200
    scores = await reranker.rank(
        "durée garantie pompe", [f"{other} {fits}", f"{fits} {other}", f"{other}{fits} {other}"]
    )
    assert scores == pytest.approx([sigmoid(3 + BIAS)] * 3)
    await reranker.close()


async def test_of_each_place_in_a_long_passage_something_is_read(tmp_path: Path) -> None:
    reranker = await opened(write_tiny(tmp_path, KNOWN, max_tokens=16, inputs=BOTH[:2]))
    texts = [" ".join(["autre"] * place + ["mot"] + ["autre"] * (99 - place)) for place in range(100)]
    assert await reranker.rank("chose", texts) == pytest.approx([sigmoid(1 + BIAS)] * 100)
    await reranker.close()


async def test_a_question_over_half_of_what_the_model_reads_is_refused(tmp_path: Path) -> None:
    reranker = await opened(write_tiny(tmp_path, KNOWN, max_tokens=33))
    await reranker.rank("mot " * 15, ["mot"])
    with pytest.raises(TooLarge, match="the question has 16 tokens, the reranker reads 15"):
        await reranker.rank("mot " * 16, ["mot"])
    await reranker.close()


async def test_special_tokens_in_a_passage_are_texts(tmp_path: Path) -> None:
    reranker = await opened(write_tiny(tmp_path, KNOWN, inputs=BOTH[:2]))
    await reranker.warm()
    [window] = reranker._windows("mot", ["mot [SEP] mot [CLS] autre"])[0]  # what the model sees cannot be seen outside
    assert (window.tokens.count("[SEP]"), window.tokens.count("[CLS]")) == (2, 1)
    await reranker.close()


async def test_a_megabyte_of_one_character_is_read_in_time(tmp_path: Path) -> None:
    reranker = await opened(write_tiny(tmp_path, KNOWN))
    assert await reranker.rank("mot", ["a" * 1_000_000, "mot"]) == pytest.approx([sigmoid(BIAS), sigmoid(1 + BIAS)])
    await reranker.close()


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({}, 64, id="positions"),
        pytest.param({"tokenizer_config.json": {"model_max_length": 48}}, 48, id="tokenizer_config"),
        pytest.param({"config.json": {"model_type": "xlm-roberta", "max_position_embeddings": 34}}, 32, id="xlm-r"),
    ],
)
def test_the_shortest_limit_in_the_files_counts(tmp_path: Path, files: dict[str, object], limit: int) -> None:
    assert read_folder(write_tiny(tmp_path, KNOWN, files=files)).max_tokens == limit


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="tells 3 labels apart"):
        read_folder(write_tiny(tmp_path / "nli", KNOWN, labels=3))
    with pytest.raises(SetupError, match="pixel_values"):
        read_folder(write_tiny(tmp_path / "image", KNOWN, inputs=[*BOTH, "pixel_values"]))
    with pytest.raises(SetupError, match=r"tokenizer\.json"):
        read_folder(tmp_path)


async def test_a_folder_is_needed_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"reranker\.path is missing"):
        await open_folder(Settings(kind="folder"))
    reranker = await opened(write_tiny(tmp_path, KNOWN))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(SetupError, match=r"tokenizer\.json' is damaged"):
        await reranker.warm()
    await reranker.close()

"""What every reranker does, whatever it is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragline.config.settings import Reranker as Settings
from ragline.connectors.rerankers import open_reranker
from ragline.connectors.rerankers.guarded import Guarded
from ragline.connectors.rerankers.protocol import Reranker

from .loopback import Loopback
from .tiny import write_tiny

QUESTION = "quelle est la durée de garantie de la pompe"
PASSAGES = [
    "La Loire coule à travers la ville.",
    "La durée de garantie de la pompe Zéphyr est de 27 mois.",
    "The pump has a warranty of 27 months.",
    "Le manuel de la pompe est en annexe.",
]


def settings_of(kind: str, url: str, folder: Path) -> Settings:
    if kind == "folder":
        return Settings(kind="folder", path=write_tiny(folder, [QUESTION, *PASSAGES]), threads=1)
    return Settings(kind="http", url=f"{url}/tei" if kind == "tei" else f"{url}/v1", model="words")


@pytest.fixture(params=["folder", "documents", "tei", "guarded"])
async def reranker(request: pytest.FixtureRequest, loopback: Loopback, tmp_path: Path) -> AsyncIterator[Reranker]:
    kind = "folder" if request.param == "guarded" else request.param
    opened = await open_reranker(settings_of(kind, loopback.url, tmp_path))
    assert opened is not None
    made: Reranker = Guarded(opened, timeout_s=60) if request.param == "guarded" else opened
    yield made
    await made.close()


async def test_each_text_has_a_score_and_the_one_that_answers_the_highest(reranker: Reranker) -> None:
    assert reranker.name
    await reranker.warm()
    scores = await reranker.rank(QUESTION, PASSAGES)
    assert len(scores) == 4
    assert max(scores) == scores[1]
    assert scores[3] > scores[2]


async def test_no_texts_have_no_scores(reranker: Reranker) -> None:
    assert await reranker.rank(QUESTION, []) == []


async def test_a_score_depends_on_question_and_text_alone(reranker: Reranker) -> None:
    forward = await reranker.rank(QUESTION, PASSAGES)
    assert await reranker.rank(QUESTION, PASSAGES) == forward
    assert await reranker.rank(QUESTION, PASSAGES[::-1]) == pytest.approx(forward[::-1])
    assert await reranker.rank(QUESTION, [PASSAGES[1], "", PASSAGES[1]]) == pytest.approx(
        [forward[1], (await reranker.rank(QUESTION, [""]))[0], forward[1]]
    )


async def test_more_texts_than_a_request_takes_are_ranked(reranker: Reranker) -> None:
    scores = await reranker.rank(QUESTION, [*PASSAGES[:1] * 69, PASSAGES[1]])
    assert len(scores) == 70
    assert scores.index(max(scores)) == 69
    assert len(set(scores[:69])) == 1

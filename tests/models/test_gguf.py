"""What llama.cpp calls back with becomes an answer, or an error."""

from __future__ import annotations

from typing import Any

from ragline.connectors.models.gguf import UNPARSED, _Events

PIECE: dict[str, Any] = {"choices": [{"delta": {"content": "Le ciel est bleu"}, "finish_reason": None}]}
BROKEN: dict[str, Any] = {"error": {"code": 500, "message": f"{UNPARSED} at pos 0: Le ciel est bleu\ufffd"}}


def test_an_answer_that_ends_in_half_a_character_is_an_answer() -> None:
    taken: list[str] = []
    events = _Events(taken.append, gone=lambda: False)
    assert [events.take(PIECE), events.take(BROKEN)] == [False, True]
    assert (events.error, taken, events.finish().reason) == (None, ["Le ciel est bleu"], "stop")


def test_without_a_word_before_it_it_is_an_error() -> None:
    events = _Events(lambda _: None, gone=lambda: False)
    assert events.take(BROKEN)
    assert events.error == BROKEN["error"]

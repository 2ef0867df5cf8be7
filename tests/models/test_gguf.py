"""What llama.cpp calls back with becomes an answer, or an error."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from ragline.connectors.models.gguf import UNPARSED, _Events

PIECE: dict[str, Any] = {"choices": [{"delta": {"content": "Le ciel est bleu"}, "finish_reason": None}]}
BROKEN: dict[str, Any] = {"error": {"code": 500, "message": f"{UNPARSED} at pos 0: Le ciel est bleu\ufffd"}}


def test_threads_that_wait_for_each_other_soon_sleep() -> None:
    """What OpenMP itself says it goes by, when llama.cpp is loaded."""
    loads = "from ragline.config.environment import quiet_libraries; quiet_libraries(); import xllamacpp"
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    done = subprocess.run(
        [sys.executable, "-c", loads],
        env={**environment, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "GOMP_SPINCOUNT = '1000'" in done.stderr


def test_an_answer_that_ends_in_half_a_character_is_an_answer() -> None:
    taken: list[str] = []
    events = _Events(taken.append, gone=lambda: False)
    assert [events.take(PIECE), events.take(BROKEN)] == [False, True]
    assert (events.error, taken, events.finish().reason) == (None, ["Le ciel est bleu"], "stop")


def test_without_a_word_before_it_it_is_an_error() -> None:
    events = _Events(lambda _: None, gone=lambda: False)
    assert events.take(BROKEN)
    assert events.error == BROKEN["error"]

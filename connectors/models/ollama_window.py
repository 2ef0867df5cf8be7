"""How much an Ollama model reads at once, and how much it has to for one chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragline.types import Json

STEP_TOKENS = 2048
"""Ollama loads a model anew for another `num_ctx`: in steps it happens seldom."""
USUAL_TOKENS = 4096
"""What Ollama takes where nobody says anything."""
ANSWER_TOKENS = 1024
"""Room for an answer, where the client does not say how long it may be."""
MOST_TOKENS = 1 << 24
MAX_PARAMETERS_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Window:
    """What a model reads at once, in tokens: at `most`, and what its Modelfile `set`s; None where nobody says it."""

    most: int | None = None
    set: int | None = None


UNKNOWN = Window()


def context_length(prompt_tokens: int, chosen: Mapping[str, Json], window: Window) -> Json:
    """Return `num_ctx` for a prompt and its answer: what they need, in steps of STEP_TOKENS, as far as the window goes.

    It is never less than what the client or the Modelfile asks for. What is no number is left for Ollama to refuse.
    """
    asked = chosen.get("num_ctx")
    if asked is not None and as_tokens(asked) is None:
        return asked
    needed = prompt_tokens + (as_tokens(chosen.get("num_predict")) or ANSWER_TOKENS)
    steps = max(USUAL_TOKENS, -(-needed // STEP_TOKENS) * STEP_TOKENS)
    return max(min(steps, window.most or steps), as_tokens(asked) or 0, window.set or 0)


def window_in(shown: Mapping[str, Json]) -> Window:
    """Return what `/api/show` says of a model's window."""
    info = shown.get("model_info")
    named = info if isinstance(info, Mapping) else {}
    own = as_tokens(named.get(f"{named.get('general.architecture')}.context_length"))
    others = [as_tokens(value) for key, value in named.items() if str(key).endswith(".context_length")]
    most = own or max((each for each in others if each), default=None)
    parameters = shown.get("parameters")
    lines = parameters[:MAX_PARAMETERS_CHARS].splitlines() if isinstance(parameters, str) else []
    words = [line.split() for line in lines]
    set_to = [pair[1] for pair in words if len(pair) == 2 and pair[0] == "num_ctx" and pair[1].isdecimal()]
    return Window(most, as_tokens(int(set_to[-1][:12])) if set_to else None)


def as_tokens(value: Json) -> int | None:
    """Return a number of tokens, None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else None

"""Configurations to compare: settings with some of them set otherwise, as `retrieval.fusion=rrf`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import ValidationError

from ragline.config.allowed import faults, no_such
from ragline.config.names import fields
from ragline.config.settings import Chunking, Embedder, Reranker, Retrieval, Settings
from ragline.errors import BadInput

SEARCHING = (
    "top_k",
    "candidates",
    "fusion",
    "dense_weight",
    "min_relevance",
    "diversity",
    "recency",
    "recency_half_life_days",
)
"""Settings of retrieval that count when a question is asked."""
STORING = ("bm25_k1", "bm25_b", "calibrate")
"""Those that count when documents come in."""
LATER: Mapping[str, Iterable[str]] = {
    "reranker": Reranker.model_fields,
    "chunking": Chunking.model_fields,
    "embedder": Embedder.model_fields,
}
ALLOWED: Mapping[str, Sequence[str]] = {
    "golden": [f"retrieval.{name}" for name in SEARCHING],
    "beir": [
        *(f"retrieval.{name}" for name in (*SEARCHING, *STORING)),
        *(f"{section}.{name}" for section, names in LATER.items() for name in names if name != "api_key"),
    ],
}
"""Settings that change what an evaluation finds, by the kind of set: documents stored already are not cut anew.

Keys are not among them: what is set stands in reports.
"""


def parsed(given: Sequence[str]) -> dict[str, str]:
    """Return `name=value` pairs by name. Raises BadInput for what is none, and for a name that is given twice."""
    pairs: dict[str, str] = {}
    for one in given:
        name, sign, value = one.partition("=")
        name = name.strip()
        if not sign or "." not in name:
            raise BadInput(f"{one!r} sets nothing: write a setting and its value, as in retrieval.fusion=rrf")
        if name in pairs:
            raise BadInput(f"{name} is set twice, to {pairs[name]!r} and to {value.strip()!r}")
        pairs[name] = value.strip()
    return pairs


def overridden(settings: Settings, pairs: Mapping[str, str], *, kind: str) -> Settings:
    """Return the settings with these values. Raises BadInput, a line for each that is not allowed."""
    sections: dict[str, dict[str, str]] = {}
    for name, value in pairs.items():
        if name not in fields():
            raise BadInput(no_such(name, list(ALLOWED[kind])))
        if name not in ALLOWED[kind]:
            raise BadInput(f"{name} makes no difference to a {kind} set; known are {', '.join(ALLOWED[kind])}")
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    changed: dict[str, object] = {}
    for section, values in sections.items():
        before = getattr(settings, section)
        try:
            changed[section] = type(before).model_validate({**dict(before), **values})
        except ValidationError as error:
            raise BadInput("\n".join(faults(error, type(before).model_fields, section=f"{section}."))) from None
    return settings.model_copy(update=changed)


def retrieval_of(settings: Retrieval, values: Mapping[str, object]) -> Retrieval:
    """Return the settings of retrieval with these values. Raises BadInput naming what is not allowed."""
    try:
        return Retrieval.model_validate({**dict(settings), **values})
    except ValidationError as error:
        raise BadInput("; ".join(faults(error, Retrieval.model_fields, section="retrieval."))) from None

"""Hides secrets in values that are shown: SecretStr as a whole, and the password inside a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import BaseModel, SecretStr

MASK = "********"

_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:pass|pwd|secret|token|key|sig|cred)[^=&#]*=)[^&#]*", re.IGNORECASE)


def masked(value: object, name: str = "") -> object:
    """Return the value with all secrets replaced, models as dicts. `name` is its dotted name or the last part of it.

    Of a secret whose name ends in `url` all but the password is shown.
    """
    match value:
        case SecretStr():
            is_url = name.rpartition(".")[2] == "url" and "://" in value.get_secret_value()
            return masked_url(value.get_secret_value()) if is_url else MASK
        case str():
            return masked_url(value)
        case BaseModel():
            return {key: masked(getattr(value, key), key) for key in type(value).model_fields}
        case Mapping():
            return {key: masked(entry, str(key)) for key, entry in value.items()}
        case list() | tuple():
            return [masked(entry, name) for entry in value]
        case _:
            return value


def masked_url(text: str) -> str:
    """Replace the password (the whole user part where it has no colon) and query parameters that hold secrets.

    The user part ends at the last `@`: a password in which `/` or `@` was not escaped must not show either.
    """
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    user_part, at, place = rest.rpartition("@")
    if at:
        user, colon, _ = user_part.partition(":")
        rest = f"{user}:{MASK}@{place}" if colon else f"{MASK}@{place}"
    return scheme + mark + _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", rest)

"""The secret of this installation, from which keys are made: the one in the settings, or one in the data folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ragline.config.settings import Settings
from ragline.errors import SetupError

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key of the size of the hash or larger."""


def installation_secret(settings: Settings) -> str:
    """Return `auth.jwt_secret`, else the one kept in the data folder, made at first need. Raises SetupError."""
    given = settings.auth.jwt_secret
    secret = given.get_secret_value() if given else kept_secret(settings.data_dir / "jwt-secret")
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise SetupError(f"auth.jwt_secret is too short: at least {MIN_SECRET_BYTES} bytes, such as 64 hex digits")
    return secret


def kept_secret(path: Path) -> str:
    """Return the secret in a file only its owner can read, writing one where there is none."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as target:
        target.write(secrets.token_hex(32))
    return path.read_text().strip()

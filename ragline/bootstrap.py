"""The first administrator: made once, so that a fresh installation can be used and nobody shares a default key."""

from __future__ import annotations

from ragline.config.settings import Auth
from ragline.connectors.records.store import Records
from ragline.types import User

ADMIN_EMAIL = "admin@localhost"


async def first_admin(records: Records, settings: Auth) -> tuple[User, str | None]:
    """Return the first administrator, and their new API key where one was made or `auth.bootstrap_key` is set."""
    admin = await records.users.first_admin()
    given = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else None
    if admin is not None and given is None:
        return admin, None
    if admin is None:
        admin = await records.users.add(name="Admin", email=ADMIN_EMAIL, role="admin", password_hash=None)
    key, _ = await records.keys.add(admin.id, name="bootstrap", key=given)
    return admin, key

"""Which errors mean that the database is away or busy for the moment."""

from __future__ import annotations

import logging

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ragline.errors import Unavailable

log = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError, PoolTimeout)


def is_outage(error: BaseException) -> bool:
    """Tell whether the database does not answer, or its connection was cut."""
    return isinstance(error, AWAY) or (isinstance(error, DBAPIError) and error.connection_invalidated)


def away(error: BaseException) -> Unavailable:
    """Return what the caller is told; why is for the log."""
    log.warning("the database does not answer: %s", getattr(error, "orig", error))
    return Unavailable("the database does not answer; try again soon")

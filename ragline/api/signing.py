"""Passwords: how often somebody may try one, and the work of comparing it."""

from __future__ import annotations

import asyncio
import math
import time
import unicodedata
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ragline.config.settings import Auth
from ragline.errors import BadInput, Conflict, TooMany

T = TypeVar("T")

MOST_NAMES = 20_000
"""Accounts and addresses whose failures are remembered; of more, those that failed longest ago are forgotten."""
NETWORK_BITS = 64
"""Of an IPv6 address: what lies behind belongs to one subscriber. RFC 6177."""
AT_ONCE = 2
"""Passwords compared at the same time; each takes 64 MiB and some 50 ms of four threads."""

hasher = PasswordHasher()
"""Argon2id with the library's own parameters: RFC 9106, low-memory profile."""


class Signing:
    """Counts failures in this process, by account and by address, over the last `failure_window_s`."""

    def __init__(self, limits: Auth, *, now: Callable[[], float] = time.monotonic) -> None:
        self._most = limits.max_failures
        self._window_s = limits.failure_window_s
        self._now = now
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._trying: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(AT_ONCE)

    @contextmanager
    def attempt(self, email: str, address: str | None) -> Iterator[None]:
        """Let somebody try something that needs a password: BadInput or Conflict out of the block is a failure.

        Without an error the account's failures are forgotten, not the address's. Raises TooMany, and the block is not
        entered, while there are too many failures, or so many tries under way that there could be.
        """
        account = f"account {email}"
        names = [account] if address is None else [account, f"address {network_of(address)}"]
        for name in names:
            self._check(name)
        self._trying.update(names)
        try:
            yield
            self._failures.pop(account, None)
        except (BadInput, Conflict):
            for name in names:
                self._failed(name)
            raise
        finally:
            self._trying.subtract(names)
            self._trying = +self._trying

    def _check(self, name: str) -> None:
        failures = self._recent(name)
        if len(failures) >= self._most:
            wait_s = math.ceil(failures[0] + self._window_s - self._now())
            raise TooMany(
                f"{self._most} failed tries within {self._window_s:g} s (auth.max_failures, auth.failure_window_s); "
                f"try again in {wait_s} s",
                retry_after_s=wait_s,
            )
        if len(failures) + self._trying[name] >= self._most:
            raise TooMany("too many tries at the same moment; try again in 1 s", retry_after_s=1)

    def _recent(self, name: str) -> deque[float]:
        failures = self._failures.get(name, deque())
        while failures and failures[0] + self._window_s <= self._now():
            failures.popleft()
        if not failures:
            self._failures.pop(name, None)
        return failures

    def _failed(self, name: str) -> None:
        self._failures.setdefault(name, deque(maxlen=self._most)).append(self._now())
        self._failures.move_to_end(name)
        while len(self._failures) > MOST_NAMES:
            self._failures.popitem(last=False)

    async def hashed(self, password: str) -> str:
        """Return what is stored of a password."""
        return await self._in_turn(partial(hasher.hash, composed(password)))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Compare in the same time whether the account exists, and has a password, or not."""
        return await self._in_turn(partial(matches, composed(password), stored))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        async with self._turns:
            return await asyncio.to_thread(work)


def network_of(address: str) -> str:
    """Return what an address is counted as: an IPv6 address as its network."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return str(known)
    return str(known.ipv4_mapped or ip_network((known, NETWORK_BITS), strict=False))


def composed(password: str) -> str:
    """Return a password as NFC: keyboards differ in how they write an accent. RFC 8265, section 4.2."""
    return unicodedata.normalize("NFC", password)


def matches(password: str, stored: str | None) -> bool:
    nobodys = absent()
    try:
        return hasher.verify(stored or nobodys, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def absent() -> str:
    """Return a hash that belongs to nobody."""
    return hasher.hash("no such account")

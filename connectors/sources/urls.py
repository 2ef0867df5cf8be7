"""Addresses of the web: taken apart, in one form, and as messages may show them."""

from __future__ import annotations

import httpx

from ragline.errors import BadInput


def parse_url(url: str) -> httpx.URL:
    """Return an http(s) address without its fragment. Raises BadInput for others, and where a password is in it."""
    try:
        parsed = httpx.URL(url.strip())
        host = parsed.host
    except (httpx.InvalidURL, UnicodeError) as error:  # the second for a host that only looks like an encoded one
        reason = "" if "@" in url else f": {error}"  # which may quote a part of the password
        raise BadInput(f"{_after_password(url)!r} is no address{reason}") from None
    is_host = host and "%" not in host  # httpx writes what cannot be in a name as %5B
    if parsed.scheme not in {"http", "https"} or not is_host or (parsed.port or 0) > 65535:
        named = _after_password(shown(parsed))
        raise BadInput(f"{named!r} cannot be fetched: an address starts with http:// or https:// and a host")
    if parsed.userinfo:
        raise BadInput(f"{shown(parsed)}: an address with a user name or password in it is not fetched")
    return parsed.copy_with(raw_path=parsed.raw_path, fragment=None)  # raw_path is "/" where the path is empty


def origin_of(url: httpx.URL | str) -> str:
    """Return scheme, host and port in one form: `https://example.org:443`."""
    url = httpx.URL(url)
    return f"{url.scheme}://{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def site_of(url: httpx.URL | str) -> str:
    """Return host and port in one form for all names of a site: http or https, with `www.` or without."""
    url = httpx.URL(url)
    host = url.host.removeprefix("www.")
    return host if url.port in {None, 80, 443} else f"{host}:{url.port}"


def joined(base: str, address: str) -> str | None:
    """Return the address as one that can be fetched, in one form; None where it is none."""
    try:
        url = httpx.URL(base).join(address.strip()).copy_with(userinfo=b"", fragment=None)
        return str(parse_url(str(url)))
    except (httpx.InvalidURL, UnicodeError, BadInput):
        return None


def shown(url: httpx.URL | str) -> str:
    """Return the address for a message: without user, password, and values of the query, which may be keys."""
    url = httpx.URL(url)
    return str(url.copy_with(userinfo=b"", query=None, fragment=None)) + ("?…" if url.query else "")


def _after_password(address: str) -> str:
    """Return what may be shown of an address that cannot be taken apart."""
    return address.rpartition("@")[2][:200]

"""Fetching: what is refused, what is bounded, what is remembered; over real sockets."""

from __future__ import annotations

import gzip
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from ragline.connectors.sources.addresses import check_host, is_public
from ragline.connectors.sources.fetch import Fetcher
from ragline.connectors.sources.fetched import Elsewhere, Refused
from ragline.connectors.sources.gunzip import Gunzip
from ragline.connectors.sources.protocol import Vanished
from ragline.connectors.sources.urls import parse_url
from ragline.errors import BadInput, Forbidden, RaglineError, TooLarge, Unavailable

from .site import Page, Site, serving


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(allow_private=True, timeout_s=5, max_bytes=100_000)
    yield fetcher
    await fetcher.close()


@pytest.fixture
async def careful() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(allow_private=False, timeout_s=5, max_bytes=100_000)
    yield fetcher
    await fetcher.close()


def names(**addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    """A name service: `docs="127.0.0.1"` for the host docs.test; a list is used up, an address a question."""
    waiting = {f"{name}.test": found.split() for name, found in addresses.items()}

    async def resolve(host: str, port: int) -> list[str]:
        found = waiting.get(host, [host])
        return [found.pop(0) if len(found) > 1 else found[0]]

    return resolve


def but_one(address: str) -> bool:
    """The machine plays the internet at 127.0.0.1; every other address of it stays private."""
    return address == "127.0.0.1"


async def text(fetcher: Fetcher, url: str) -> str:
    with await fetcher.get(url) as fetched:
        return fetched.body.read().decode()


async def test_a_page_comes_with_its_type_and_validators(site: Site, fetcher: Fetcher) -> None:
    modified = "Sat, 01 Nov 2025 10:00:00 GMT"
    site.pages["/été?q=1"] = Page()
    site.pages["/%C3%A9t%C3%A9?q=1"] = Page(
        "à la mer".encode(), 'Text/HTML; Charset="UTF-8"', etag='"a"', modified=modified
    )
    with await fetcher.get(f"{site.url}/été?q=1#part") as fetched:
        assert fetched.body.read().decode() == "à la mer"
        assert (fetched.status, fetched.size_bytes) == (200, 9)
        assert (fetched.content_type, fetched.charset) == ("text/html", "utf-8")
        assert (fetched.etag, fetched.last_modified) == ('"a"', modified)
        assert fetched.url == f"{site.url}/%C3%A9t%C3%A9?q=1"
    assert site.sent[0]["user-agent"].startswith("Ragline/")
    assert site.sent[0]["host"] == f"127.0.0.1:{site.port}"


async def test_an_unchanged_page_is_304_and_empty(site: Site, fetcher: Fetcher) -> None:
    site.pages["/a"] = Page(b"a", etag='"1"')
    site.pages["/b"] = Page(b"b", modified="Sat, 01 Nov 2025 10:00:00 GMT")
    with await fetcher.get(f"{site.url}/a", etag='"1"') as fetched:
        assert (fetched.status, fetched.body.read()) == (304, b"")
    with await fetcher.get(f"{site.url}/b", modified="Sat, 01 Nov 2025 10:00:00 GMT") as fetched:
        assert fetched.status == 304
    with await fetcher.get(f"{site.url}/a", etag='"0"') as fetched:
        assert (fetched.status, fetched.body.read()) == (200, b"a")


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("localhost", id="localhost"),
        pytest.param("[::1]", id="loopback-6"),
        pytest.param("[::ffff:127.0.0.1]", id="mapped"),
        pytest.param("[::7f00:1]", id="compatible"),
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("10.1.2.3", id="private"),
        pytest.param("2130706433", id="decimal"),
        pytest.param("0x7f.1", id="hexadecimal"),
        pytest.param("127.1", id="short"),
        pytest.param("[fd00::254]", id="unique-local"),
    ],
)
async def test_private_hosts_are_refused_before_any_connection(site: Site, careful: Fetcher, host: str) -> None:
    with pytest.raises(Forbidden, match=r"is not a public one; set allow_private = true") as caught:
        await careful.get(f"http://{host}:{site.port}/")
    assert repr(host.strip("[]")) in str(caught.value)
    with pytest.raises(Forbidden):
        await check_host(host, site.port, allow_private=False)
    await check_host(host, site.port, allow_private=True)
    assert site.asked == []


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("169.254.169.254", id="cloud"),
        pytest.param("169.254.1.1", id="link-local"),
        pytest.param("2852039166", id="decimal"),
        pytest.param("168.63.129.16", id="azure"),
        pytest.param("100.100.100.200", id="alibaba"),
        pytest.param("[fe80::1]", id="link-local-6"),
        pytest.param("[fd00:ec2::254]", id="aws-6"),
        pytest.param("[::ffff:169.254.169.254]", id="mapped"),
        pytest.param("[::a9fe:a9fe]", id="compatible"),
        pytest.param("[64:ff9b::a9fe:a9fe]", id="nat64"),
        pytest.param("[64:ff9b:1::a9fe:a9fe]", id="local-nat64"),
        pytest.param("[2002:a9fe:a9fe::1]", id="6to4"),
    ],
)
async def test_metadata_addresses_are_refused_whatever_is_allowed(
    host: str, fetcher: Fetcher, careful: Fetcher
) -> None:
    for one in (fetcher, careful):
        with pytest.raises(Forbidden, match=r"whatever allow_private says") as caught:
            await one.get(f"http://{host}/")
    assert repr(host.strip("[]")) in str(caught.value)
    with pytest.raises(Forbidden, match=r"whatever allow_private says"):
        await check_host(host, 80, allow_private=True)


async def test_private_addresses_can_be_for_some_hosts_only(site: Site) -> None:
    site.pages["/a"] = Page(b"a")
    fetcher = Fetcher(
        allow_private=True,
        timeout_s=5,
        max_bytes=10,
        private_hosts={"docs.test", "xn--bcher-kva.test", "::1"},
        resolve=names(docs="127.0.0.1", evil="127.0.0.1", **{"xn--bcher-kva": "127.0.0.1"}),
    )
    for host in ("docs.test", "DOCS.test", "bücher.test"):
        assert await text(fetcher, f"http://{host}:{site.port}/a") == "a"
    site.pages["/go"] = Page(status=302, headers={"Location": f"http://evil.test:{site.port}/a"})
    for url in (f"http://evil.test:{site.port}/a", f"{site.url}/a", f"http://docs.test:{site.port}/go"):
        with pytest.raises(Forbidden, match=r"it opens the hosts that the source's location names"):
            await fetcher.get(url)
    with pytest.raises(Unavailable):
        await fetcher.get("http://[::1]:9/")  # allowed, but nobody is there
    await fetcher.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("172.15.0.1", True),
        ("172.16.0.1", False),
        ("172.31.255.255", False),
        ("100.64.0.1", False),
        ("100.128.0.1", True),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("168.63.129.16", False),
        ("2606:4700::1111", True),
        ("2001:4860:4860::8888", True),
        ("::", False),
        ("::ffff:8.8.8.8", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("2001:0:4136:e378::1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b:1::808:808", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_one_private_address_among_public_ones_is_refused() -> None:
    async def both(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    fetcher = Fetcher(allow_private=False, timeout_s=5, max_bytes=10, resolve=both)
    with pytest.raises(Forbidden, match=r"'docs\.test' has the address 10\.0\.0\.1"):
        await fetcher.get("http://docs.test/")
    await fetcher.close()


async def test_a_redirect_to_a_private_address_is_refused_before_it_is_asked(site: Site) -> None:
    fetcher = Fetcher(
        allow_private=False,
        timeout_s=5,
        max_bytes=1000,
        resolve=names(docs="127.0.0.1", inside="127.0.0.2"),
        is_public=but_one,
    )
    with serving("127.0.0.2", site.port) as inside:
        inside.pages["/secret"] = Page(b"secret")
        for target in (f"http://inside.test:{site.port}/secret", f"//127.0.0.2:{site.port}/secret"):
            site.pages["/go"] = Page(status=302, headers={"Location": target})
            with pytest.raises(Forbidden, match=r"has the address 127\.0\.0\.2"):
                await fetcher.get(f"http://docs.test:{site.port}/go")
        assert inside.asked == []
    assert site.asked == ["/go", "/go"]
    await fetcher.close()


async def test_a_name_that_changes_its_address_gains_nothing(site: Site) -> None:
    site.pages["/"] = Page(b"outside", headers={"Connection": "close"})
    fetcher = Fetcher(
        allow_private=False,
        timeout_s=5,
        max_bytes=1000,
        resolve=names(docs="127.0.0.1 127.0.0.2"),
        is_public=but_one,
    )
    with serving("127.0.0.2", site.port) as inside:
        inside.pages["/"] = Page(b"inside")
        assert await text(fetcher, f"http://docs.test:{site.port}/") == "outside"
        with pytest.raises(Forbidden):
            await fetcher.get(f"http://docs.test:{site.port}/")
        assert inside.asked == []
    await fetcher.close()


async def test_the_next_address_is_tried_when_one_does_not_answer(site: Site) -> None:
    async def both(host: str, port: int) -> list[str]:
        return ["127.0.0.3", "127.0.0.1"]

    site.pages["/"] = Page(b"here")
    fetcher = Fetcher(allow_private=True, timeout_s=5, max_bytes=10, resolve=both)
    assert await text(fetcher, f"http://docs.test:{site.port}/") == "here"
    await fetcher.close()


async def test_redirects_are_followed_five_times(site: Site, fetcher: Fetcher) -> None:
    for at, status in enumerate((301, 302, 303, 307, 308)):
        site.pages[f"/{at}"] = Page(status=status, headers={"Location": f"/{at + 1}"})
    site.pages["/5"] = Page(b"end")
    with await fetcher.get(f"{site.url}/0") as fetched:
        assert (fetched.url, fetched.body.read()) == (f"{site.url}/5", b"end")
    site.pages["/start"] = Page(status=302, headers={"Location": "/0"})
    with pytest.raises(Unavailable, match="more than 5 redirects"):
        await fetcher.get(f"{site.url}/start")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "about:blank", "mailto:a@e.org"])
async def test_a_redirect_to_another_scheme_is_refused(site: Site, fetcher: Fetcher, target: str) -> None:
    site.pages["/"] = Page(status=302, headers={"Location": target})
    with pytest.raises(Refused, match=r"/: redirects to what is no page: .* starts with http"):
        await fetcher.get(site.url)


async def test_only_permanent_redirects_tell_where_a_page_lives(site: Site, fetcher: Fetcher) -> None:
    chains = {"/a": [], "/b": [301, 308], "/c": [301, 302, 301], "/d": [307], "/e": [302, 303]}
    for start, statuses in chains.items():
        stops = [start, *(f"{start}{n}" for n in range(len(statuses)))]
        for status, (here, there) in zip(statuses, pairwise(stops), strict=True):
            site.pages[here] = Page(status=status, headers={"Location": there})
        site.pages[stops[-1]] = Page(b"end")
        with await fetcher.get(f"{site.url}{start}") as fetched:
            assert fetched.url == f"{site.url}{stops[-1]}"
            assert fetched.home.removeprefix(site.url) == {"/b": "/b1", "/c": "/c0"}.get(start, start)
            assert fetched.for_now == (start in "/c/d/e")
        site.pages[stops[-1]] = Page(status=404)
        with pytest.raises(Elsewhere if fetched.for_now else Vanished):
            await fetcher.get(f"{site.url}{start}")


async def test_a_body_that_no_disk_takes_is_unavailable(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    site.pages["/"] = Page(b"x" * 2_000_000)
    fetcher = Fetcher(allow_private=True, timeout_s=5, max_bytes=10_000_000)
    with pytest.raises(Unavailable, match="cannot be kept while it is read"):
        await fetcher.get(site.url)
    await fetcher.close()


@pytest.mark.parametrize(
    ("page", "error", "said"),
    [
        pytest.param(Page(status=404), Vanished, "no such page", id="404"),
        pytest.param(Page(status=410), Vanished, "no such page", id="410"),
        pytest.param(Page(status=403), Refused, r"refuses it \(403\)", id="403"),
        pytest.param(Page(status=202), Unavailable, "answered 202", id="202"),
        pytest.param(Page(status=500), Unavailable, "answered 500", id="500"),
        pytest.param(Page(status=429), Unavailable, "answered 429", id="429"),
        pytest.param(Page(status=304), Unavailable, "answered 304", id="304-unasked"),
        pytest.param(Page(b"x" * 100_001), TooLarge, "limit of 100000 bytes", id="too-large"),
        pytest.param(Page(b"x", headers={"Content-Encoding": "br"}), Unavailable, "packed as 'br'", id="brotli"),
        pytest.param(Page(b"plain text", headers={"Content-Encoding": "gzip"}), Unavailable, "header", id="no-gzip"),
        pytest.param(
            Page(b"x", headers={"Content-Length": "5", "Connection": "close"}), Unavailable, "be reached", id="cut"
        ),
    ],
)
async def test_failures_have_their_error(
    site: Site, fetcher: Fetcher, page: Page, error: type[RaglineError], said: str
) -> None:
    site.pages["/p?key=hidden"] = page
    with pytest.raises(error, match=said) as caught:
        await fetcher.get(f"{site.url}/p?key=hidden")
    assert type(caught.value) is error
    assert f"{site.url}/p?…" in str(caught.value)
    assert "hidden" not in str(caught.value)


async def test_what_cannot_be_reached_is_unavailable(fetcher: Fetcher, dead_url: str) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await fetcher.get(dead_url)
    with pytest.raises(Unavailable, match=r"'nowhere\.invalid': no such host"):
        await fetcher.get("http://nowhere.invalid/")
    with pytest.raises(Unavailable, match="no such host"):
        await fetcher.get(f"http://{'a' * 70}.test/")


async def test_a_silent_server_is_left_after_the_time_limit() -> None:
    fetcher = Fetcher(allow_private=True, timeout_s=0.2, max_bytes=10)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable, match=r"within 0\.2 s"):
        await fetcher.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")
    await fetcher.close()


async def test_packed_bodies_are_unpacked_and_bounded(site: Site, fetcher: Fetcher) -> None:
    packed = {"Content-Encoding": "gzip"}
    site.pages["/two"] = Page(gzip.compress(b"one ") + gzip.compress(b"two"), headers=packed)
    site.pages["/empty"] = Page(b"", headers=packed)
    site.pages["/bomb"] = Page(gzip.compress(bytes(50_000_000)), headers=packed)
    site.pages["/cut"] = Page(gzip.compress(b"a text" * 50)[:-9], headers=packed)
    assert await text(fetcher, f"{site.url}/two") == "one two"
    assert await text(fetcher, f"{site.url}/empty") == ""
    with pytest.raises(TooLarge):
        await fetcher.get(f"{site.url}/bomb")
    with pytest.raises(Unavailable, match="breaks off"):
        await fetcher.get(f"{site.url}/cut")


def test_unpacking_never_gives_more_than_a_block() -> None:
    gunzip = Gunzip()
    blocks = list(gunzip.feed(gzip.compress(bytes(10_000_000))))
    gunzip.end()
    assert sum(map(len, blocks)) == 10_000_000
    assert max(map(len, blocks)) <= 1 << 16


async def test_a_body_without_a_length_is_bounded_too(site: Site, fetcher: Fetcher) -> None:
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    site.pages["/"] = Page(chunk, headers={"Transfer-Encoding": "chunked", "Content-Length": ""}, blocks=1000)
    with pytest.raises(TooLarge):
        await fetcher.get(site.url)


async def test_a_short_pause_is_granted_once(site: Site, fetcher: Fetcher) -> None:
    busy = Page(status=429, headers={"Retry-After": "0"})
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    site.pages["/a"] = Page(b"a", once=[busy])
    site.pages["/b"] = Page(b"b", once=[Page(status=503, headers={"Retry-After": past})])
    site.pages["/c"] = Page(b"c", once=[busy, busy])
    site.pages["/d"] = Page(b"d", once=[Page(status=503, headers={"Retry-After": "3600"})])
    assert await text(fetcher, f"{site.url}/a") == "a"
    assert await text(fetcher, f"{site.url}/b") == "b"
    for path in ("/c", "/d"):
        with pytest.raises(Unavailable):
            await fetcher.get(f"{site.url}{path}")
    assert [site.asked_for(path) for path in ("/a", "/b", "/c", "/d")] == [2, 2, 2, 1]


async def test_proxies_of_the_environment_are_ignored(
    site: Site, fetcher: Fetcher, dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, dead_url)
    site.pages["/"] = Page(b"direct")
    assert await text(fetcher, site.url) == "direct"


async def test_credentials_go_to_their_origin_only(site: Site) -> None:
    with serving() as other:
        site.pages["/"] = Page(status=302, headers={"Location": f"{other.url}/"})
        other.pages["/"] = Page(b"other")
        fetcher = Fetcher(allow_private=True, timeout_s=5, max_bytes=10, credentials={site.url: "Bearer t"})
        assert await text(fetcher, site.url) == "other"
        assert site.sent[0]["authorization"] == "Bearer t"
        assert "authorization" not in other.sent[0]
        await fetcher.close()


@pytest.mark.parametrize(
    "url",
    [
        *("", "docs", "ftp://a/b", "file:///etc/passwd", "http://", "http://a:99999/", "http:///x"),
        *("http://0177.0.0.1/", "http://xn--zzzzzz99999999/", "http://a.test/\ud800"),
    ],
)
def test_what_is_no_web_address_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput):
        parse_url(url)


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(BadInput, match=r"http://a\.test/x: an address with a user name") as caught:
        parse_url("http://me:hidden@a.test/x")
    assert "hidden" not in str(caught.value)
    for url in ("me:hidden@a.test/x", "http://me:hidden/x@a.test/"):
        with pytest.raises(BadInput, match=r"'a\.test/x?'") as caught:
            parse_url(url)
        assert "hidden" not in str(caught.value)


async def test_tls_checks_the_name_although_the_address_is_connected_to(tmp_path: Path) -> None:
    certificate, key = certificate_for("docs.test", tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    asked_names: list[str | None] = []
    server_side.sni_callback = lambda _socket, name, _context: asked_names.append(name)
    trust = ssl.create_default_context(cafile=str(certificate))
    fetcher = Fetcher(
        allow_private=True,
        timeout_s=5,
        max_bytes=100,
        resolve=names(docs="127.0.0.1", evil="127.0.0.1"),
        ssl_context=trust,
    )
    with serving(tls=server_side) as site:
        site.pages["/"] = Page(b"safe")
        assert await text(fetcher, f"https://docs.test:{site.port}/") == "safe"
        with pytest.raises(Unavailable, match="(?i)certificate"):
            await fetcher.get(f"https://evil.test:{site.port}/")
    assert asked_names == ["docs.test", "evil.test"]
    await fetcher.close()


def certificate_for(name: str, folder: Path) -> tuple[Path, Path]:
    """Write a certificate for `name`, signed by itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return paths

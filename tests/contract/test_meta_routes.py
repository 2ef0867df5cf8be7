"""Table 1.2 of the contract: health, version, configuration, documentation, unknown paths, accounts."""

from __future__ import annotations

import pytest

from .house import PASSWORD, House, detail, good, invalid

SESSION = {"id", "name", "role", "email", "profile_image_url", "token", "token_type", "expires_at", "permissions"}


@pytest.mark.parametrize("path", ["/health", "/ready", "/health/db"])
def test_health(house: House, path: str) -> None:
    assert good(house.nobody.get(path))["status"] is True
    assert house.nobody.head("/health").status_code == 200


def test_version(house: House) -> None:
    body = good(house.nobody.get("/api/version"))
    assert all(isinstance(body[key], str) for key in ("version", "deployment_id"))


def test_config_says_more_with_a_session(house: House) -> None:
    everybody = {"status", "name", "version", "default_locale", "i18n", "oauth", "features"}
    signed_in = {"default_models", "permissions", "file", "audio", "code", "ui"}
    assert house.admin
    config = good(house.nobody.get("/api/config"))
    assert everybody <= set(config)
    assert not signed_in & set(config)
    assert not config.get("onboarding")
    assert config["features"]["auth"] is True
    assert config["features"]["enable_signup"] is False
    assert everybody | signed_in <= set(good(house.client(house.admin.jwt).get("/api/config")))
    assert not signed_in & set(good(house.admin.client.get("/api/config")))


def test_the_documentation_is_there_for_development_only(house: House, narrow: House) -> None:
    page = house.nobody.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert good(house.nobody.get("/openapi.json"))["paths"]
    for path in ("/docs", "/openapi.json"):
        assert narrow.admin.client.get(path).status_code == 404


UNKNOWN_PATHS = ["/api/nope", "/api/v1/nope", "/api/v1/files/a/b/c/d", "/v1/nope", "/openai/../nope", "/nope"]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_an_unknown_path_is_404_json(house: House, path: str, method: str) -> None:
    detail(house.admin.client.request(method, path), 404)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/api/models"), ("PUT", "/health"), ("PATCH", "/api/version")])
def test_another_method_on_a_known_path_is_405(house: House, method: str, path: str) -> None:
    answer = house.admin.client.request(method, path)
    detail(answer, 405)


@pytest.mark.parametrize(
    "path",
    ["/api/models", "/api/v1/models", "/api/v1/files", "/api/v1/knowledge", "/api/version", "/health", "/v1/models"],
)
def test_a_final_slash_or_none_is_the_same(house: House, path: str) -> None:
    assert good(house.admin.client.get(path)).keys() == good(house.admin.client.get(f"{path}/")).keys()


def test_the_first_account_is_the_administrator_and_closes_sign_up(house: House) -> None:
    session = good(house.client(house.admin.jwt).get("/api/v1/auths/"))
    assert set(session) >= SESSION
    assert (session["role"], session["token_type"]) == ("admin", "Bearer")
    body = {"name": "N", "email": "late@example.org", "password": PASSWORD}
    detail(house.nobody.post("/api/v1/auths/signup", json=body), 403)


def test_sign_up_sets_a_cookie_and_refuses_what_is_no_address(narrow: House) -> None:
    assert narrow.admin
    body = {"name": "Éloïse", "email": "eloise@example.org", "password": PASSWORD}
    answer = narrow.nobody.post("/api/v1/auths/signup", json=body)
    narrow.nobody.cookies.clear()
    assert set(good(answer)) >= SESSION
    assert answer.headers["set-cookie"].startswith("token=")
    assert narrow.nobody.post("/api/v1/auths/signup", json=body | {"email": "no address"}).status_code in (400, 422)
    detail(narrow.nobody.post("/api/v1/auths/signup", json=body), 400, 409)
    invalid(narrow.nobody.post("/api/v1/auths/signup", json={"name": "x"}))


def test_onboarding_lasts_until_somebody_has_signed_up(unlocked: House, house: House) -> None:
    assert good(unlocked.nobody.get("/api/config")).get("onboarding") is True
    assert house.admin
    assert not good(house.nobody.get("/api/config")).get("onboarding")


def test_signing_in(house: House) -> None:
    body = {"email": house.admin.email, "password": PASSWORD}
    answer = house.nobody.post("/api/v1/auths/signin", json=body)
    house.nobody.cookies.clear()
    assert set(good(answer)) >= SESSION
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("token=", "httponly", "max-age=2419200", "path=/", "samesite=lax"))
    detail(house.nobody.post("/api/v1/auths/signin", json=body | {"password": "wrong"}), 400)
    detail(house.nobody.post("/api/v1/auths/signin", json=body | {"email": "nobody@example.org"}), 400)
    invalid(house.nobody.post("/api/v1/auths/signin", json={"email": house.admin.email}))


def test_adding_a_user(house: House) -> None:
    body = {"name": "Gaël", "email": "gael@example.org", "password": PASSWORD, "role": "user"}
    added = good(house.admin.client.post("/api/v1/auths/add", json=body))
    assert {"id", "name", "role", "email", "profile_image_url", "token", "token_type"} <= set(added)
    assert (added["name"], added["role"], added["email"]) == ("Gaël", "user", "gael@example.org")
    detail(house.admin.client.post("/api/v1/auths/add", json=body), 400, 409)
    bad = house.admin.client.post("/api/v1/auths/add", json=body | {"email": "no address"})
    assert bad.status_code in (400, 422)
    detail(house.user.client.post("/api/v1/auths/add", json=body), 403)


def test_a_key_is_made_shown_and_deleted(house: House) -> None:
    person = house.new_user("Maëlle")
    client = house.client(person.jwt)
    assert good(client.get("/api/v1/auths/api_key"))["api_key"].startswith("sk-")
    assert good(client.delete("/api/v1/auths/api_key")) is True
    detail(client.get("/api/v1/auths/api_key"), 404)
    detail(person.client.get("/api/models"), 401)


def test_keys_are_named_limited_and_never_shown_again(house: House) -> None:
    """Of the table "where we do better"."""
    person = house.new_user("Loïc")
    mine, other = house.collection(who=person), house.collection(who=person)
    wanted = {"name": "lecture", "collections": [mine], "routes": ["/api/v1/knowledge"], "expires_in_days": 1}
    made = good(person.client.post("/api/v1/auths/api_keys", json=wanted))
    listed = person.client.get("/api/v1/auths/api_keys")
    assert made["api_key"] not in listed.text
    assert {key["name"] for key in good(listed)["items"]} == {"API key", "lecture"}
    limited = house.client(made["api_key"])
    assert good(limited.get(f"/api/v1/knowledge/{mine}"))["id"] == mine
    detail(limited.get(f"/api/v1/knowledge/{other}"), 404)
    detail(limited.get("/api/models"), 403)
    assert good(person.client.delete(f"/api/v1/auths/api_keys/{made['id']}")) is True
    detail(limited.get(f"/api/v1/knowledge/{mine}"), 401)


def test_users_are_listed_promoted_and_deleted(house: House) -> None:
    """What the issue asks for beyond the table."""
    person = house.new_user("Rémi")
    listed = good(house.admin.client.get("/api/v1/users/", params={"query": person.email}))
    assert [each["id"] for each in listed["users"]] == [person.id]
    assert listed["total"] == 1
    assert good(house.admin.client.delete(f"/api/v1/users/{person.id}")) is True
    detail(person.client.get("/api/models"), 401)

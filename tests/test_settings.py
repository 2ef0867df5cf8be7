"""Settings: where values come from, what is said when they are wrong, and what is shown of them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ragline.config.environment import child_environment, quiet_libraries
from ragline.config.example import example_toml, settings_markdown
from ragline.config.load import load_settings
from ragline.config.provenance import SettingOrigin, explain, lines
from ragline.config.settings import Connection, Models, Server, Settings
from ragline.errors import SetupError

pytestmark = pytest.mark.usefixtures("empty_machine")

ROOT = Path(__file__).resolve().parents[1]


def write(text: str, name: str = "ragline.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def complaint(toml: str = "") -> list[str]:
    """The lines that loading these settings ends with."""
    write(toml)
    with pytest.raises(SetupError) as caught:
        load_settings()
    return str(caught.value).splitlines()


def origin_of(name: str) -> SettingOrigin:
    return next(origin for origin in explain() if origin.name == name)


# Where values come from


def test_a_machine_without_settings_gets_the_defaults() -> None:
    assert load_settings() == Settings()
    assert load_settings().server.port == 3000


def test_arguments_beat_variables_beat_the_file_beat_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[server]\nport = 1\nhost = '::1'\nmax_upload_bytes = 10\n")
    monkeypatch.setenv("RAGLINE_SERVER__PORT", "2")
    monkeypatch.setenv("RAGLINE_SERVER__HOST", "localhost")
    server = load_settings(arguments={"server.port": 3}).server
    assert server == Server(port=3, host="localhost", max_upload_bytes=10, ready_wait_s=60.0)


def test_arguments_may_be_nested_and_none_means_not_given() -> None:
    settings = load_settings(arguments={"server": {"port": 3, "host": None}, "log_level": None, "data_dir": Path("d")})
    assert settings == Settings(server=Server(port=3), data_dir=Path("d"))


def test_one_variable_leaves_the_rest_of_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_MODELS__LIST_TTL_S", "5")
    assert load_settings().models == Models(list_ttl_s=5)


def test_lists_and_tables_in_variables_are_json_and_replace_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_MODELS__ALIASES", "{}")
    monkeypatch.setenv("RAGLINE_MODELS__CONNECTIONS", '[{"name": "a", "kind": "embedded"}]')
    models = load_settings().models
    assert models.aliases == {}
    assert models.connections == (Connection(name="a", kind="embedded"),)


def test_a_table_in_the_file_replaces_the_default() -> None:
    write('[models.aliases]\n"gpt-4o" = ["llama3.2"]\n')
    assert load_settings().models.aliases == {"gpt-4o": ("llama3.2",)}


def test_env_is_read_from_env_and_from_ragline_env_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "dev")
    assert load_settings().env == "dev"
    monkeypatch.setenv("RAGLINE_ENV", "prod")
    assert load_settings().env == "prod"


def test_the_file_is_the_one_given_then_ragline_config_then_the_working_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("server.port = 1")
    given, named = write("server.port = 3", "given.toml"), write("server.port = 2", "named.toml")
    assert load_settings().server.port == 1
    monkeypatch.setenv("RAGLINE_CONFIG", str(named))
    assert load_settings().server.port == 2
    assert load_settings(toml=given).server.port == 3


def test_an_empty_text_means_none_and_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[vectors]\nurl = 'http://qdrant:6333'\napi_key = ''\n")
    monkeypatch.setenv("RAGLINE_VECTORS__URL", "")
    assert load_settings().vectors.url is None
    assert load_settings().vectors.api_key is None


def test_settings_built_in_code_do_not_read_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    write("server.port = 1")
    monkeypatch.setenv("RAGLINE_SERVER__PORT", "2")
    assert Settings().server.port == 3000
    assert Settings(models=Models(aliases={})).models.aliases == {}


# What is said when they are wrong


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        pytest.param(
            "server.prot = 1", "server.prot (ragline.toml): no such setting; did you mean server.port?", id="key"
        ),
        pytest.param("[sever]\nport = 1", "sever (ragline.toml): no such setting; did you mean server?", id="section"),
        pytest.param(
            "port = 1",
            "port (ragline.toml): no such setting; did you mean server.port or prefect.port?",
            id="section-forgotten",
        ),
        pytest.param(
            "server.port = 'abc'",
            'server.port = "abc" (ragline.toml): Input should be a valid integer, unable to parse string as an integer',
            id="type",
        ),
        pytest.param(
            "server.port = 70000",
            "server.port = 70000 (ragline.toml): Input should be less than or equal to 65535",
            id="limit",
        ),
        pytest.param(
            "server.port = {a = 1}", "server.port (ragline.toml): Input should be a valid integer", id="table-for-value"
        ),
        pytest.param("blobs = 's3://b'", "blobs (ragline.toml): is a section; its keys: url", id="value-for-section"),
        pytest.param(
            "server.host = ''", "server.host (ragline.toml): is empty; give a value or take it out", id="empty"
        ),
        pytest.param("env = 'test'", "env = \"test\" (ragline.toml): Input should be 'dev' or 'prod'", id="choice"),
        pytest.param(
            "[[models.connections]]\nname = 'a'\nulr = 'http://h'\n",
            "models.connections[0].ulr (ragline.toml): no such key; did you mean url?",
            id="key-of-an-entry",
        ),
        pytest.param(
            "[[models.connections]]\nname = 'a'\n",
            "models.connections[0].kind (ragline.toml): is missing",
            id="key-of-an-entry-missing",
        ),
        pytest.param(
            "[models.aliases]\na = 'b'\n",
            'models.aliases.a = "b" (ragline.toml): Input should be a valid tuple',
            id="value-of-a-table",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named(toml: str, line: str) -> None:
    assert line in complaint(toml)


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        pytest.param(
            "RAGLINE_SEVER__PORT",
            "1",
            "RAGLINE_SEVER__PORT (environment): no such setting; did you mean RAGLINE_SERVER__PORT?",
            id="section",
        ),
        pytest.param(
            "RAGLINE_SERVER__PROT",
            "1",
            "RAGLINE_SERVER__PROT (environment): no such setting; did you mean RAGLINE_SERVER__PORT?",
            id="key",
        ),
        pytest.param(
            "RAGLINE_SERVER_PORT",
            "1",
            "RAGLINE_SERVER_PORT (environment): no such setting; did you mean RAGLINE_SERVER__PORT?",
            id="one-underscore",
        ),
        pytest.param(
            "RAGLINE_LOG_LEVL",
            "info",
            "RAGLINE_LOG_LEVL (environment): no such setting; did you mean RAGLINE_LOG_LEVEL?",
            id="top",
        ),
        pytest.param(
            "RAGLINE_DATABASE",
            "sqlite://",
            "RAGLINE_DATABASE (environment): is a section; its variables: RAGLINE_DATABASE__URL",
            id="value-for-section",
        ),
        pytest.param(
            "RAGLINE_MODELS__CONNECTIONS__0__URL",
            "http://h",
            "RAGLINE_MODELS__CONNECTIONS__0__URL (environment): no such setting; models.connections is given as a "
            "whole: RAGLINE_MODELS__CONNECTIONS in JSON",
            id="part-of-a-value",
        ),
        pytest.param(
            "RAGLINE_MODELS__ALIASES",
            "{a: 1}",
            "RAGLINE_MODELS__ALIASES (environment): not valid JSON: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)",
            id="json",
        ),
        pytest.param(
            "RAGLINE_MODELS__CONNECTIONS",
            '[{"name": "a", "kind": "openai"}]',
            "RAGLINE_MODELS__CONNECTIONS[0] (environment): 'a' is of kind 'openai' and has no url; "
            "give the base URL of its server",
            id="entry",
        ),
        pytest.param("ENV", "test", "ENV = \"test\" (environment): Input should be 'dev' or 'prod'", id="plain-env"),
        pytest.param(
            "RAGLINE_SERVER__PORT",
            "",
            "RAGLINE_SERVER__PORT (environment): is empty; give a value or take it out",
            id="empty",
        ),
        pytest.param(
            "RAGLINE_PORT_3000_TCP",
            "tcp://10.0.0.1:3000",
            "RAGLINE_PORT_3000_TCP (environment): no such setting; there are env, data_dir, log_level",
            id="kubernetes",
        ),
    ],
)
def test_a_mistake_in_a_variable_is_named(
    variable: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    (said,) = complaint()
    assert said.startswith(line)
    assert said == line or variable.startswith("RAGLINE_PORT")


def test_a_variable_given_twice_in_different_case_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_SERVER__PORT", "1")
    monkeypatch.setenv("ragline_server__port", "2")
    assert complaint() == ["ragline_server__port (environment): given twice, also as RAGLINE_SERVER__PORT"]


def test_variables_of_kubernetes_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_SERVICE_HOST", "10.0.0.1")
    assert "enableServiceLinks: false" in complaint()[0]


def test_variables_of_the_tests_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_TEST_QDRANT_URL", "http://h")
    assert load_settings() == Settings()


def test_all_problems_of_all_sources_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_SERVER__PROT", "1")
    monkeypatch.setenv("RAGLINE_CHUNKING__MAX_TOKENS", "many")
    write("[parsing]\nworkers = 0\n[blob]\nurl = 'x'\n")
    with pytest.raises(SetupError) as caught:
        load_settings(arguments={"log_level": "loud"})
    keys = [line.split(" ")[0] for line in str(caught.value).splitlines()]
    assert sorted(keys) == [
        "RAGLINE_CHUNKING__MAX_TOKENS",
        "RAGLINE_SERVER__PROT",
        "blob",
        "log_level",
        "parsing.workers",
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(
            b"[server\n", "ragline.toml: not valid TOML: Expected ']' at the end of a table declaration", id="toml"
        ),
        pytest.param(b"# \xe9\n", "ragline.toml: not UTF-8 text at byte 2", id="latin-1"),
    ],
)
def test_a_file_that_is_not_toml_is_named(content: bytes, line: str) -> None:
    Path("ragline.toml").write_bytes(content)
    with pytest.raises(SetupError) as caught:
        load_settings()
    assert str(caught.value).startswith(line)


def test_a_file_that_was_asked_for_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match=r"^given\.toml: cannot be read: No such file or directory$"):
        load_settings(toml=Path("given.toml"))
    monkeypatch.setenv("RAGLINE_CONFIG", "named.toml")
    with pytest.raises(SetupError, match=r"^named\.toml: cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        pytest.param(
            "auth.enabled = false\nserver.host = '0.0.0.0'",
            'auth.enabled = false (ragline.toml) with server.host = "0.0.0.0" (ragline.toml): everyone who reaches '
            "this address would be the administrator; set server.host to 127.0.0.1 or auth.enabled to true",
            id="open-to-the-network",
        ),
        pytest.param(
            "chunking.max_tokens = 32",
            "chunking.overlap_tokens = 32 (default): must be less than chunking.max_tokens = 32 (ragline.toml), "
            "or a passage would only repeat the one before",
            id="overlap",
        ),
        pytest.param(
            "[models]\nconnections = [{name='a', kind='embedded'}, {name='a', kind='functions'}]",
            "models.connections (ragline.toml): 2 are named 'a'; names must be unique",
            id="names",
        ),
        pytest.param(
            "embedder.kind = 'ollama'",
            'embedder.kind = "ollama" (ragline.toml): needs embedder.url, the base URL of its server; '
            "the kind 'packaged' needs none",
            id="embedder-without-url",
        ),
        pytest.param(
            "vectors.url = 'qdrant:6333'",
            'vectors.url = "qdrant:6333" (ragline.toml): must start with http:// or https://',
            id="url-without-scheme",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named(toml: str, line: str) -> None:
    assert complaint(toml) == [line]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_auth_may_be_off_on_loopback(host: str) -> None:
    settings = load_settings(arguments={"auth.enabled": False, "server.host": host})
    assert not settings.auth.enabled


@pytest.mark.parametrize(
    "toml",
    [
        pytest.param("auth.jwt_secret = 1234567890", id="wrong-type"),
        pytest.param("auth.jwt_secert = '1234567890'", id="misspelt"),
        pytest.param("auth = '1234567890'", id="value-for-section"),
        pytest.param("[[models.connections]]\nname='a'\nkind='openai'\napi_kye='1234567890'", id="misspelt-in-entry"),
        pytest.param("[[models.connections]]\nname='a'\napi_key=1234567890", id="wrong-type-in-entry"),
        pytest.param("vectors.url = 'tcp://user:1234567890@h'", id="password-in-url"),
        pytest.param("auth.enabled = 'postgresql://u:1234567890@h'", id="url-in-the-wrong-place"),
    ],
)
def test_no_complaint_shows_a_secret(toml: str) -> None:
    assert "1234567890" not in "\n".join(complaint(toml))


# What is shown of them


def test_each_setting_is_explained_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[parsing]\nworkers = 4\n")
    monkeypatch.setenv("RAGLINE_SERVER__PORT", "8080")
    monkeypatch.setenv("ENV", "dev")
    explained = {origin.name: origin for origin in explain(arguments={"log_level": "debug"})}
    assert explained["server.host"] == SettingOrigin("server.host", '"127.0.0.1"', "default")
    assert explained["parsing.workers"] == SettingOrigin("parsing.workers", "4", "ragline.toml")
    assert explained["server.port"] == SettingOrigin("server.port", "8080", "RAGLINE_SERVER__PORT")
    assert explained["env"] == SettingOrigin("env", '"dev"', "ENV")
    assert explained["log_level"] == SettingOrigin("log_level", '"debug"', "argument")
    assert explained["models.connections[0].url"].value == '"http://127.0.0.1:11434"'


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        pytest.param("auth.bootstrap_key", "sk-1", "********", id="secret"),
        pytest.param("auth.jwt_secret", "a://b:c@d", "********", id="secret-like-a-url"),
        pytest.param("database.url", "postgresql://u:p@h/d", "postgresql://u:********@h/d", id="password"),
        pytest.param("database.url", "postgresql://u:p/@p@h/d", "postgresql://u:********@h/d", id="not-escaped"),
        pytest.param("database.url", "sqlite:///a.db", "sqlite:///a.db", id="nothing-to-hide"),
        pytest.param("blobs.url", "s3://key:secret@bucket", "s3://key:********@bucket", id="not-a-secret-setting"),
        pytest.param("vectors.url", "https://token@h", "https://********@h", id="user-part-only"),
        pytest.param("vectors.url", "https://h/?a=1&api_key=x", "https://h/?a=1&api_key=********", id="parameter"),
    ],
)
def test_secrets_are_masked(name: str, value: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_" + name.replace(".", "__").upper(), value)
    assert origin_of(name).value == f'"{shown}"'


def test_keys_of_connections_are_masked() -> None:
    write("[[models.connections]]\nname='a'\nkind='openai'\nurl='http://u:p@h/v1'\napi_key='sk-1'\n")
    assert origin_of("models.connections[0].api_key").value == '"********"'
    assert origin_of("models.connections[0].url").value == '"http://u:********@h/v1"'


def test_explained_lines_are_in_columns() -> None:
    origins = [SettingOrigin("a", "1", "default"), SettingOrigin("bc.d", '"x"', "argument")]
    assert lines(origins) == ["a    = 1    # default", 'bc.d = "x"  # argument']


def test_the_example_file_is_up_to_date() -> None:
    written = (ROOT / "config" / "ragline.example.toml").read_text(encoding="utf-8")
    assert written == example_toml(), "run python -m ragline.config.example"


def test_the_page_of_settings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_markdown(), "run python -m ragline.config.example"


def test_the_example_file_changes_nothing_with_and_without_its_comment_signs() -> None:
    assert load_settings(toml=write(example_toml())) == Settings()
    uncommented = write(re.sub(r"^#(?=\S)", "", example_toml(), flags=re.MULTILINE))
    assert load_settings(toml=uncommented) == Settings()
    empty = ("sources", "evaluations")
    given = {origin.origin for origin in explain(toml=uncommented) if origin.name not in empty}
    assert given == {"ragline.toml"}


def test_every_setting_has_a_description() -> None:
    page = settings_markdown()
    for origin in explain():
        name = origin.name.partition("[")[0]
        assert re.search(rf"^\| `{re.escape(name)}` \|.*\w.* \|$", page, re.MULTILINE), name


# The environment of libraries and children


def test_libraries_are_told_not_to_send_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"DO_NOT_TRACK": "0"})
    quiet_libraries()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["DO_NOT_TRACK"] == "0", "what the user has set stays"


def test_a_child_gets_the_parents_variables_the_quiet_ones_and_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"PATH": "/bin", "HF_HUB_OFFLINE": "0", "A": "parent"})
    child = child_environment({"A": "extra"})
    assert child["PATH"] == "/bin"
    assert child["HF_HUB_OFFLINE"] == "0"
    assert child["SCARF_NO_ANALYTICS"] == "true"
    assert child["A"] == "extra"
    assert "SCARF_NO_ANALYTICS" not in os.environ

"""Sources and their order, errors all at once, secrets out of sight, the documentation current."""

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tidewire.settings import Settings, SettingsError, load
from tidewire.settings.docs import render_markdown, render_values

ROOT = Path(__file__).parents[3]


def test_defaults_need_nothing() -> None:
    assert load(environ={}) == Settings()


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tidewire.toml"
    file.write_text(
        '[gateway]\nport = 1\nmax_fragments = 2\nclient_burst = 3\nallowed_origins = ["https://a"]\n'
    )
    environ = {
        "TIDEWIRE_CONFIG": str(file),
        "TIDEWIRE_GATEWAY_PORT": "10",
        "TIDEWIRE_GATEWAY_MAX_FRAGMENTS": "20",
    }
    gateway = load(environ=environ, overrides={"gateway": {"port": 100, "host": None}}).gateway
    assert (gateway.port, gateway.max_fragments, gateway.client_burst) == (100, 20, 3)
    assert gateway.allowed_origins == ("https://a",)
    assert gateway.host == Settings().gateway.host


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("gateway.port", "0", 0),
        ("gateway.port", " 65_535 ", 65535),
        ("gateway.port", 80.0, 80),
        ("gateway.auth_timeout_s", "1e1", 10.0),
        ("gateway.auth_timeout_s", 3, 3.0),
        ("gateway.compression", "Yes", True),
        ("gateway.compression", 0, False),
        ("gateway.allowed_origins", "", ()),
        ("site.name", "7", "7"),
        ("log.format", "json", "json"),
    ],
)
def test_values_are_read_as_their_fields_type(name: str, text: object, value: object) -> None:
    section, field = name.split(".")
    found = getattr(getattr(load(environ={}, overrides={section: {field: text}}), section), field)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("gateway.port", "-1", "must be at least 0; got '-1'"),
        ("gateway.port", 65536, "must be at most 65535; got 65536"),
        ("gateway.port", "80.5", "must be a whole number; got '80.5'"),
        ("gateway.port", 80.5, "must be a whole number; got 80.5"),
        ("gateway.port", float("inf"), "must be a whole number; got inf"),
        ("gateway.port", True, "must be a whole number; got True"),
        ("gateway.auth_timeout_s", "0", "must be above 0; got '0'"),
        ("gateway.auth_timeout_s", "nan", "must be above 0; got 'nan'"),
        ("gateway.auth_timeout_s", "soon", "must be a number; got 'soon'"),
        ("gateway.compression", "maybe", "must be true or false; got 'maybe'"),
        ("gateway.allowed_origins", [1], "must be a list of texts; got [1]"),
        ("proxies.trusted", "10.0.0.0/33", "'10.0.0.0/33' does not appear to be an IPv4 or IPv6 network"),
        ("site.name", 7, "must be text; got 7"),
        ("database.url", 7, "must be text"),
        ("log.format", "xml", "must be auto, json or console; got 'xml'"),
    ],
)
def test_a_wrong_value_is_one_line_and_never_a_secret(name: str, value: object, why: str) -> None:
    section, field = name.split(".")
    with pytest.raises(SettingsError) as caught:
        load(environ={}, overrides={section: {field: value}})
    (line,) = caught.value.lines
    assert line.startswith(f"{name} (--{field.replace('_', '-')}): {why}")
    assert not (name == "database.url" and "got" in line)


@pytest.mark.parametrize("password", ["geh/eim", "geh?eim", "geh#eim", "geh／eim"])
def test_a_password_that_cuts_its_address_is_told_and_not_shown(password: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={"TIDEWIRE_DATABASE_URL": f"postgresql://me:{password}@db/chat"})
    (line,) = caught.value.lines
    assert line.startswith("database (TIDEWIRE_DATABASE_URL): url ")
    assert "geh" not in line and "eim" not in line


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:geh%2Feim@one:5432,two:5433/chat",
        "postgresql:///chat?host=/run/postgresql&user=me",
        "postgresql://[::1]:5432/chat",
    ],
)
def test_addresses_of_databases_are_taken(url: str) -> None:
    assert load(environ={"TIDEWIRE_DATABASE_URL": url}).database.url == url


def test_lists_come_from_the_environment_with_commas() -> None:
    trusted = load(environ={"TIDEWIRE_PROXIES_TRUSTED": "10.0.0.0/8, ::1"}).proxies.trusted
    assert trusted == ("10.0.0.0/8", "::1")


def test_all_errors_are_reported_together_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "tidewire.toml"
    file.write_text("[nope]\nx = 1\n[bus]\nshards = 0\n")
    environ = {
        "TIDEWIRE_LOG_LEVEL": "loud",
        "TIDEWIRE_DATABASE_URLS": "x",
        "TIDEWIRE_GATEWAY_READ_TIMEOUT_S": "1",
    }
    with pytest.raises(SettingsError) as caught:
        load(file, environ=environ)
    text = str(caught.value)
    for expected in [
        f"nope ({file}): there is no such setting",
        f"bus.shards ({file}): ",
        "log.level (TIDEWIRE_LOG_LEVEL): ",
        "database.urls (TIDEWIRE_DATABASE_URLS): there is no such setting",
        "gateway (TIDEWIRE_GATEWAY_READ_TIMEOUT_S): read_timeout_s must be above ping_interval_s",
    ]:
        assert expected in text
    assert len(caught.value.lines) == 5


@pytest.mark.parametrize("text", ["[", b"\xff"])
def test_a_file_that_is_not_toml_is_one_line(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "tidewire.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        load(file, environ={})
    assert len(caught.value.lines) == 1
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "absent", environ={})


def test_secrets_are_hidden() -> None:
    settings = load(environ={"TIDEWIRE_DATABASE_URL": "postgresql://u:hunter2@h/d"})
    assert settings.database.url.endswith("@h/d")
    assert "hunter2" not in repr(settings) + render_values(settings)


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    environ = {"TIDEWIRE_PROXIES_TRUSTED": "10.0.0.0/8", "TIDEWIRE_SITE_NAME": 'a "b" \\c'}
    settings = load(environ=environ)
    file = tmp_path / "printed.toml"
    file.write_text(render_values(settings))
    assert load(file, environ={}) == settings


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().gateway.port = 1


def test_the_page_of_settings_is_current() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == render_markdown(), "run `make docs`"


def test_every_field_says_what_it_is() -> None:
    assert "|  |\n" not in render_markdown()


def test_nothing_else_reads_the_environment() -> None:
    # HOTPATH chooses between hotpath/ and its plain twins before any settings exist.
    allowed = {Path("tidewire/settings/loading.py"): None, Path("hotpath/__init__.py"): "HOTPATH"}
    readers = []
    for package in ("api", "gateway", "hotpath", "loadtest", "push", "tidewire"):
        for path in (ROOT / package).rglob("*.py*"):
            if path.suffix not in (".py", ".pyx", ".pyi"):
                continue
            text = path.read_text()
            name = path.relative_to(ROOT)
            found = re.findall(r"\b(?:environb?|getenvb?)\b", text)
            if found and name in allowed:
                only = allowed[name]
                found = (
                    []
                    if only is None
                    else [
                        line
                        for line in text.splitlines()
                        if re.search(r"\b(environ|getenv)\b", line) and only not in line
                    ]
                )
            if found:
                readers.append(str(name))
    assert readers == []

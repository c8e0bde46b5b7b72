"""The keys of the configuration: their types, limits and masks, and what clients are told of them."""

import re
from pathlib import Path
from typing import Any

import pytest

from tidewire.actions.config import SETTINGS, Config, explicit
from tidewire.settings import Settings, read
from tidewire.store.db import Database
from tidewire.wire.client_config import FULL, LIMITED
from tidewire.wire.config import DEFAULTS, ITEMS, MASK, fault, flatten, is_masked, mask, nest


def a_config(**sections: dict[str, Any]) -> Config:
    """Return a configuration that was never in a database."""
    return Config(read(sections), Database("", size=1), server_id="s" * 26)


def test_every_default_is_allowed() -> None:
    assert [name for name, item in ITEMS.items() if fault(item, item.default)] == []
    assert len(ITEMS) > 500


def test_settings_stand_behind_keys_of_the_same_default() -> None:
    settings = Settings()
    for name, (section, field) in SETTINGS.items():
        assert DEFAULTS[name] == getattr(getattr(settings, section), field), name


def test_what_the_environment_gives_wins_and_is_named() -> None:
    assert explicit(Settings()) == {}
    config = a_config(site={"name": "Given"}, session={"length_hours": 5})
    config.apply(1, {"TeamSettings.SiteName": "Stored", "PrivacySettings.ShowFullName": False, "Of.Yore": 1})
    assert config.text("TeamSettings.SiteName") == config.client["SiteName"] == "Given"
    assert config.number("ServiceSettings.SessionLengthSSOInHours") == 5
    assert config.flag("PrivacySettings.ShowFullName") is False
    assert config.fixed.keys() == {
        "TeamSettings.SiteName",
        *(f"ServiceSettings.SessionLength{kind}InHours" for kind in ("Web", "Mobile", "SSO")),
    }
    config.apply(0, {})  # an older revision, loaded late
    assert config.client["ShowFullName"] == "false"


def test_look_ups_are_typed() -> None:
    config = a_config()
    assert config.words("NativeAppSettings.AppCustomURLSchemes")[0] == "mmauth://"
    for wrong in ("No.Such", "TeamSettings.SiteName", "PasswordSettings.Lowercase"):
        with pytest.raises(KeyError):
            config.number(wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PasswordSettings.MinimumLength", 4),
        ("PasswordSettings.MinimumLength", True),
        ("PasswordSettings.MinimumLength", "8"),
        ("PasswordSettings.MinimumLength", 8.0),
        ("TeamSettings.SiteName", "x" * 31),
        ("TeamSettings.SiteName", 3),
        ("TeamSettings.RestrictDirectMessage", "some"),
        ("ServiceSettings.SiteURL", "javascript:1"),
        ("ServiceSettings.SiteURL", "http://[a"),
        ("ServiceSettings.SiteURL", "http://a:99999"),
        ("ServiceSettings.SiteURL", "http:///path"),
        ("ServiceSettings.SiteURL", "http://a\r\nb"),
        ("ServiceSettings.EnableTutorial", 1),
        ("DisplaySettings.CustomURLSchemes", ["a", 1]),
        ("DisplaySettings.CustomURLSchemes", "a"),
        ("EmailSettings.SMTPServer", "x" * 20_000),
        ("ServiceSettings.PostEditTimeLimit", -2),
        ("ServiceSettings.PostEditTimeLimit", 2**60),
    ],
)
def test_values_have_types_and_limits(name: str, value: Any) -> None:
    assert fault(ITEMS[name], value)


def test_secrets_are_masked_where_they_are_set() -> None:
    masked = mask(
        {
            "EmailSettings.SMTPPassword": "s3cret",
            "SqlSettings.DataSourceReplicas": ["a", "b"],
            "GitLabSettings.Secret": "",
        }
    )
    assert masked == {
        "EmailSettings.SMTPPassword": MASK,
        "SqlSettings.DataSourceReplicas": [MASK, MASK],
        "GitLabSettings.Secret": "",
    }
    assert is_masked(MASK) and is_masked([MASK, "new"])
    assert not is_masked("*") and not is_masked([])


def test_nesting_and_back() -> None:
    assert flatten(nest(DEFAULTS)) == DEFAULTS
    assert (
        flatten({"TeamSettings": {"SiteName": None, "Unknown": 1}, "Unknown": {"a": 1}, "SqlSettings": None})
        == {}
    )
    for wrong in ([], None, {"TeamSettings": 1}):
        with pytest.raises(ValueError):
            flatten(wrong)


def test_clients_hear_of_keys_that_exist_once() -> None:
    config = a_config()
    assert not LIMITED.keys() & FULL.keys()
    sources = [
        name
        for source in (LIMITED | FULL).values()
        if not source.startswith("=")
        for name in source.split(" & ")
    ]
    assert set(sources) <= ITEMS.keys()
    assert not any(ITEMS[name].secret for name in sources)
    assert all(isinstance(value, str) for value in config.client.values())
    assert config.limited.items() <= config.client.items()


def test_keys_without_effect_are_named_in_the_docs() -> None:
    """A key is read by its name in some module, or told to clients who act on it; the docs name all others alone."""
    folder = Path(__file__).parents[3]
    modules = (file for name in ("api", "gateway", "push", "tidewire") for file in (folder / name).rglob("*.py"))
    code = "".join(file.read_text() for file in modules)
    told = {name for source in (LIMITED | FULL).values() if not source.startswith("=") for name in source.split(" & ")}
    page = (folder / "docs" / "config.md").read_text()
    listed = page.partition("## Keys that have no effect")[2].partition("\n## ")[0]
    whole = set(re.findall(r"`(\w+)`", listed.partition("\n- ")[0].partition("Whole sections:")[2]))
    named = {name for name in DEFAULTS if name.partition(".")[0] in whole}
    for section, keys in re.findall(r"^- `(\w+)`: (.*?)\.$", listed, re.M | re.S):
        named |= {f"{section}.{key}" for key in re.findall(r"`(\w+)`", keys)}
    idle = {
        name
        for name in DEFAULTS
        if name not in told and f'"{name}"' not in code
        # The server's settings are taken together, by tidewire.actions.mail.
        and not (name.startswith("EmailSettings.") and f'email["{name[14:]}"]' in code)
    }
    assert idle == named

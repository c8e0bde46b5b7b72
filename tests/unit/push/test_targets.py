"""The reference's configuration file, its errors, and endpoints that clients name."""

import json
from pathlib import Path
from typing import Any

import pytest

from push.main import effective
from push.start import config_of, providers_of
from push.targets import BadConfig, Targets, read_config
from tidewire.outbound import FetchError
from tidewire.outbound.push_endpoints import check_endpoint
from tidewire.settings import Settings
from tidewire.settings.reading import read
from tidewire.settings.tree import Push

SAMPLE = {
    "ListenAddress": ":8066",
    "ThrottlePerSec": 300,
    "ThrottleMemoryStoreSize": 50000,
    "ThrottleVaryByHeader": "X-Forwarded-For",
    "EnableMetrics": True,
    "SendTimeoutSec": 30,
    "RetryTimeoutSec": 8,
    "ApplePushSettings": [
        {"Type": "apple_rn", "ApplePushUseDevelopment": False, "ApplePushTopic": "com.x", "AppleAuthKeyFile": "",
         "AppleAuthKeyID": "", "AppleTeamID": "", "ApplePushCertPrivate": "", "ApplePushCertPassword": ""}
    ],
    "AndroidPushSettings": [{"Type": "android_rn", "AndroidApiKey": "", "ServiceFileLocation": ""}],
    "EnableConsoleLog": True,
    "EnableFileLog": False,
    "LogFileLocation": "",
    "LogFormat": "plain",
}  # fmt: skip


def written(folder: Path, plain: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(plain))
    return path


def test_the_sample_is_understood(tmp_path: Path) -> None:
    path = written(tmp_path, SAMPLE)
    settings = effective(read({"push": {"mattermost_config": str(path)}}))
    push = settings.push
    assert (push.host, push.port, push.metrics, push.throttle_headers) == (
        "0.0.0.0",
        8066,
        True,
        ("X-Forwarded-For",),
    )
    assert (push.answer_wait_s, push.attempt_timeout_s, push.throttle_callers) == (25, 8, 50000)
    given = effective(
        read({"push": {"mattermost_config": str(path), "port": 9, "host": "::1", "metrics": False}})
    ).push
    assert (given.host, given.port, given.metrics) == ("::1", 9, False)
    assert Targets.of(*config_of(push)).names == ["apple_rn", "android_rn"]


def test_keys_are_read_whatever_their_case(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"listenaddress": "127.0.0.1:7", "APPLEPUSHSETTINGS": [{"type": "a", "appleteamid": "T"}], "New": 1},
    )
    config = read_config(path)
    assert config.listen_address == "127.0.0.1:7" and config.apple_push_settings[0].apple_team_id == "T"


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ([], "Expected `object`"),
        ({"ListenAddress": 5}, "Expected `str`"),
        ({"ApplePushSettings": [{}]}, "missing required field `Type`"),
        (
            {"ApplePushSettings": [{"Type": "a"}], "AndroidPushSettings": [{"Type": "a"}]},
            "'a' is given twice",
        ),
        ({"ApplePushSettings": [{"Type": ""}]}, "no Type"),
        ({"ApplePushSettings": [{"Type": "a b"}]}, "only letters"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, plain: Any, words: str) -> None:
    with pytest.raises(BadConfig) as bad:
        providers_of(Push(mattermost_config=str(written(tmp_path, plain))))
    assert words in str(bad.value)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="No such file"):
        read_config(tmp_path / "none.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(BadConfig, match="not JSON"):
        read_config(tmp_path / "x.json")
    with pytest.raises(BadConfig, match="no port"):
        effective(Settings(push=Push(mattermost_config=str(written(tmp_path, {"ListenAddress": "host"})))))


@pytest.mark.parametrize(
    ("apple", "words"),
    [
        ({"ApplePushTopic": "t"}, "set AppleAuthKeyFile"),
        ({}, "ApplePushTopic is not set"),
        (
            {"ApplePushTopic": "t", "AppleAuthKeyFile": "none", "AppleAuthKeyID": "k", "AppleTeamID": "t"},
            "No such file",
        ),
        (
            {"ApplePushTopic": "t", "AppleAuthKeyFile": "text", "AppleAuthKeyID": "k", "AppleTeamID": "t"},
            "no private key",
        ),
        ({"ApplePushTopic": "t", "ApplePushCertPrivate": "none"}, "No such file"),
        ({"ApplePushTopic": "t", "ApplePushCertPrivate": "text"}, "no private key"),
    ],
)
def test_a_target_that_cannot_work_leaves_the_others(
    tmp_path: Path, apple: dict[str, str], words: str
) -> None:
    (tmp_path / "text").write_text("hello")
    config = {"ApplePushSettings": [{"Type": "bad", **apple}]}
    found, wrong = providers_of(Push(mattermost_config=str(written(tmp_path, config))))
    assert found == {} and len(wrong) == 1 and words in wrong[0] and wrong[0].startswith("target bad: ")


@pytest.mark.parametrize(
    ("android", "words"),
    [
        ({}, "ServiceFileLocation is not set"),
        ({"ServiceFileLocation": "none"}, "No such file"),
        ({"ServiceFileLocation": "text"}, "no service account"),
        ({"ServiceFileLocation": "key"}, "private_key is none"),
    ],
)
def test_a_service_account_that_is_none(tmp_path: Path, android: dict[str, str], words: str) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "key").write_text('{"project_id":"p","client_email":"e","private_key":"secret words"}')
    config = {"AndroidPushSettings": [{"Type": "bad", **android}]}
    found, wrong = providers_of(Push(mattermost_config=str(written(tmp_path, config))))
    assert found == {} and words in wrong[0] and "secret words" not in wrong[0]


@pytest.mark.parametrize(
    "endpoint",
    ["http://push.example.org/", "https://127.0.0.1/", "https://127.1/", "https://0x7f000001/", "https://[::1]/",
     "https://localhost/", "https://box.local/", "https://box.local./", "https://x.internal/", "https://intranet/",
     "https://push.example.org:8443/", "https://user:pw@push.example.org/", "ftp://push.example.org/", "nonsense", "",
     "https://", "https://push.example.org/" + "x" * 3000, "https://169.254.169.254/latest", "https://[fd00::1]/",
     "file:///etc/passwd", "https://①②⑦.0.0.1/", "https://2130706433/"],
)  # fmt: skip
def test_endpoints_that_are_refused(endpoint: str) -> None:
    with pytest.raises(FetchError) as refused:
        check_endpoint(endpoint)
    assert refused.value.refused


def test_endpoints_that_are_taken() -> None:
    for endpoint in (
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://updates.push.services.mozilla.com/wpush/v2/x",
        "https://wns2-par02p.notify.windows.com/w/?token=x",
        "https://web.push.apple.com/x",
    ):
        assert str(check_endpoint(endpoint)) == endpoint
    assert check_endpoint("https://localhost:9/x", ["localhost:9"]).port == 9
    with pytest.raises(FetchError):
        check_endpoint("https://localhost:10/x", ["localhost:9"])

"""What a handshake says about itself."""

from ipaddress import ip_network

import pytest

from gateway.login import BadResume, Resume, address_of, credential, resume_of

ID = "a" * 26


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, ""),
        ({"Cookie": "MMUSERID=u; MMAUTHTOKEN=t"}, "t"),
        ({"Cookie": "MMAUTHTOKEN=t", "Authorization": "Bearer b"}, "t"),
        ({"Authorization": "Bearer b"}, "b"),
        ({"Authorization": "BEARER b"}, "b"),
        ({"Authorization": "Token b"}, "b"),
        ({"Authorization": "Basic b"}, ""),
        ({"Cookie": "XMMAUTHTOKEN=t; MMAUTHTOKEN="}, ""),
    ],
)
def test_credentials(headers: dict[str, str], token: str) -> None:
    assert credential(headers) == token


@pytest.mark.parametrize(
    ("connection_id", "number", "result"),
    [
        ("", "5", None),
        (ID, "0", Resume(ID, 0)),
        (ID, "17", Resume(ID, 17)),
        (ID, "-1", None),
        (ID, str(2**63 - 1), Resume(ID, 2**63 - 1)),
        (ID, str(2**63), None),
        (ID, "9" * 8000, None),
    ],
)
def test_resumes(connection_id: str, number: str, result: Resume | None) -> None:
    assert resume_of({"connection_id": connection_id, "sequence_number": number}) == result


@pytest.mark.parametrize("number", ["", "abc", "1e400", "1.0", " 1", "1_0", "١"])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(BadResume):
        resume_of({"connection_id": ID, "sequence_number": number})


@pytest.mark.parametrize("connection_id", ["a", "a" * 27, "a" * 25 + "-", "../" + "a" * 23])
def test_what_is_no_id_is_refused(connection_id: str) -> None:
    with pytest.raises(BadResume):
        resume_of({"connection_id": connection_id, "sequence_number": "1"})


def test_addresses_count_only_from_trusted_proxies() -> None:
    trusted = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")]
    assert address_of("203.0.113.9", "198.51.100.1", trusted) == "203.0.113.9"
    assert address_of("127.0.0.1", "198.51.100.1", trusted) == "198.51.100.1"
    assert address_of("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.7", trusted) == "198.51.100.1"
    assert address_of("127.0.0.1", "", trusted) == "127.0.0.1"
    assert address_of("127.0.0.1", "nonsense", trusted) == "nonsense"

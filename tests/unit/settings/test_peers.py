"""Which URLs of the databases leave them open to others. Security case G6."""

import pytest

from tidewire.settings import exposed, name_of, read

SOCKET = "unix:///run/tidewire/redis.sock"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://tidewire@/tidewire?host=/run/postgresql", []),
        ("postgresql:///tidewire", []),
        ("postgresql://tidewire@%2Frun%2Fpostgresql/tidewire", []),
        ("postgresql://u:p@localhost/tidewire", []),
        ("postgresql://u:p@[::1]:5432/tidewire", []),
        ("postgresql://u:p@db.example:5432/tidewire?sslmode=verify-full", []),
        ("postgresql://u@db.example/tidewire?sslmode=require&sslcert=/etc/a.pem", []),
        ("postgresql://u@127.0.0.1/tidewire", ["password"]),
        ("postgresql://u@/tidewire?host=10.0.0.1&password=p", ["TLS"]),
        ("postgresql://u:p@db.example/tidewire?sslmode=prefer", ["TLS"]),
        ("postgresql://u:p@localhost,db.example/tidewire", ["TLS"]),
        ("postgresql://u@db.example:5432/tidewire", ["password", "TLS"]),
    ],
)
def test_postgresql(url: str, words: list[str]) -> None:
    check(url, SOCKET, "PostgreSQL", words)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", []),
        (SOCKET, []),
        ("redis://:p@localhost:6379/1", []),
        ("rediss://u:p@redis.example", []),
        ("redis://127.0.0.1:6379", ["password"]),
        ("rediss://redis.example", ["password"]),
        ("redis://:p@10.0.0.2", ["TLS"]),
        ("redis://redis.example/0", ["password", "TLS"]),
    ],
)
def test_redis(url: str, words: list[str]) -> None:
    check("", url, "Redis", words)


def check(database: str, redis: str, name: str, words: list[str]) -> None:
    found = exposed(read({"database": {"url": database}, "redis": {"url": redis}}))
    assert len(found) == len(words)
    for sentence, word in zip(found, words, strict=True):
        assert name in sentence and word in sentence


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://ada:geheim@db.example:5433/chat?sslmode=verify-full", "the database chat at db.example:5433"),
        ("postgresql://ada:ge@heim@one:1,two:2/chat", "the database chat at one:1,two:2"),
        ("postgresql://postgres@/chat?host=/run/postgresql&password=geheim", "the database chat at /run/postgresql"),
        ("mysql://ada:geheim@db.example/chat", "the database"),
        ("geheim", "the database"),
        ("postgresql://ada:ge/heim@db.example/chat", "the database"),
        ("postgresql://ada:1?geheim@db.example/chat", "the database"),
        ("postgresql://ada:1#geheim@db.example/chat", "the database"),
        ("postgresql://ada:1#geheim", "the database"),
    ],
)
def test_a_database_is_named_without_its_password(url: str, name: str) -> None:
    assert name_of(url) == name

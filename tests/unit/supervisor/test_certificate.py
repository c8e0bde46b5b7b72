"""Certificates that somebody renews: good, bad, half written, at their end. The balancer is a stand-in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from tidewire.supervisor.certificate import Certificate
from tidewire.supervisor.layout import StartError

SIGNER = trustme.CA()


class Balancer:
    """Shows what it read last."""

    def __init__(self, cert: Path) -> None:
        self._cert = cert
        self.reads = 0
        self.reload()

    def reload(self) -> None:
        self._shown = self._cert.read_text()
        self.reads += 1

    async def served(self) -> str:
        return self._shown


def write(folder: Path, days: float = 90) -> tuple[Path, Path]:
    """Write a certificate that ends in so many days."""
    end = datetime.now(UTC) + timedelta(days=days)
    leaf = SIGNER.issue_cert("localhost", not_before=end - timedelta(days=90), not_after=end)
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    return cert, key


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot read .*cert\.pem: No such file"):
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem").check()
    cert, key = write(tmp_path)
    assert 89 < Certificate(cert, key).check() < 91
    cert.write_text(cert.read_text()[:200])
    with pytest.raises(StartError, match="are no certificate and its key") as wrong:
        Certificate(cert, key).check()
    assert "\n" not in str(wrong.value)


async def test_a_change_is_taken_once_and_a_bad_one_not_at_all(tmp_path: Path) -> None:
    cert, key = write(tmp_path)
    certificate, balancer = Certificate(cert, key), Balancer(cert)
    certificate.check()
    with capture_logs() as lines:
        await certificate.look(balancer.reload, balancer.served)
        assert balancer.reads == 1 and lines == []
        cert.write_text("half of one")
        await certificate.look(balancer.reload, balancer.served)
        await certificate.look(balancer.reload, balancer.served)
        write(tmp_path)
        await certificate.look(balancer.reload, balancer.served)
        await certificate.look(balancer.reload, balancer.served)
    assert balancer.reads == 2
    assert [line["event"] for line in lines] == ["the certificate stays as it was", "certificate read again"]


async def test_one_that_may_be_read_later_is_taken_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = write(tmp_path)
    certificate, balancer = Certificate(cert, key), Balancer(cert)
    certificate.check()
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path == key:
            raise PermissionError(13, "Permission denied")
        return read(path)

    write(tmp_path)
    with capture_logs() as lines:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", denied)
            await certificate.look(balancer.reload, balancer.served)
            await certificate.look(balancer.reload, balancer.served)
        await certificate.look(balancer.reload, balancer.served)
    assert balancer.reads == 2
    assert [line["event"] for line in lines] == ["the certificate stays as it was", "certificate read again"]


async def test_the_end_of_the_one_that_is_shown_is_told_beside_a_bad_one(tmp_path: Path) -> None:
    cert, key = write(tmp_path, 3)
    certificate, balancer = Certificate(cert, key), Balancer(cert)
    certificate.check()
    cert.write_text("half of one")
    with capture_logs() as lines:
        for _ in range(3):
            await certificate.look(balancer.reload, balancer.served)
    assert [line["event"] for line in lines] == ["the certificate stays as it was", "the certificate ends soon"]


@pytest.mark.parametrize(
    ("days", "event"), [(3, "the certificate ends soon"), (-1, "the certificate has ended"), (60, "")]
)
async def test_a_near_end_is_told_once_a_day(tmp_path: Path, days: float, event: str) -> None:
    cert, key = write(tmp_path, days)
    certificate, balancer = Certificate(cert, key), Balancer(cert)
    certificate.check()
    with capture_logs() as lines:
        for _ in range(3):
            await certificate.look(balancer.reload, balancer.served)
    assert [line["event"] for line in lines] == [event] * bool(event)

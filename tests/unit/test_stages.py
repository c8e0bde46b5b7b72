"""`make test` passes only if every stage ran and passed."""

import pytest

from tests import stages
from tests.stages import verdict

PASSED, FAILED, NOTHING = 0, 1, 5


@pytest.mark.parametrize(
    ("statuses", "chosen", "wrong"),
    [
        ((PASSED, PASSED, PASSED), False, []),
        ((PASSED, FAILED, PASSED), False, ["together failed (1)"]),
        ((4, PASSED, FAILED), True, ["twins failed (4)", "alone failed (1)"]),
        ((PASSED, PASSED, NOTHING), False, ["alone ran no test"]),
        ((NOTHING, PASSED, NOTHING), True, []),
        ((NOTHING, FAILED, NOTHING), True, ["together failed (1)"]),
        ((NOTHING, NOTHING, NOTHING), True, ["twins ran no test", "together ran no test", "alone ran no test"]),
    ],
)
def test_the_verdict(statuses: tuple[int, ...], chosen: bool, wrong: list[str]) -> None:
    assert verdict(dict(zip(stages.STAGES, statuses, strict=True)), chosen=chosen) == wrong


def test_all_stages_run_whatever_became_of_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, list[str]]] = []

    def run(name: str, arguments: list[str]) -> int:
        ran.append((name, arguments))
        return FAILED if name == "twins" else PASSED

    monkeypatch.setattr(stages, "run", run)
    assert stages.main(["-k", "word"]) == 1
    assert ran == [(name, ["-k", "word"]) for name in ("twins", "together", "alone")]
    assert capsys.readouterr().out.endswith(": twins failed (1)\n")

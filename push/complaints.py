"""One line for each problem, without secrets; of a flood of the same the first ones, then counts."""

from typing import Any

import structlog

from push.verdicts import Action, Verdict
from tidewire.wire.push import Job

WINDOW_S = 10.0
FIRST = 20  # of the same kind in a window

log = structlog.get_logger("push")


def shown(job: Job) -> str:
    """Return what may be shown of a device: too little to push to it, enough to find it."""
    if job.subscription is not None:
        return job.subscription.endpoint.split("/", 3)[2][:100] if "://" in job.subscription.endpoint else ""
    return job.notification.device_id[:16] if len(job.notification.device_id) > 32 else ""


class Complaints:
    """Counts problems by target and reason. `now` in seconds."""

    def __init__(self) -> None:
        self._since = 0.0
        self._counts: dict[tuple[str, str], int] = {}

    def note(self, job: Job, verdict: Verdict, now: float) -> None:
        """Write a line on a push that was not sent, or count it."""
        self.roll(now)
        key = (job.target, verdict.reason)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > FIRST:
            return
        write: Any = log.info if verdict.action is Action.RETRY else log.warning
        write(
            "push not sent",
            target=job.target,
            verdict=verdict.action.value,
            reason=verdict.reason,
            answer=verdict.answer[:200],
            type=job.notification.type,
            attempt=job.attempt + 1,
            push=job.apns_id,
            ack_id=job.notification.ack_id[:26],
            server=job.notification.server_id[:26],
            device=shown(job),
        )

    def roll(self, now: float) -> None:
        """Begin a new window when it is time, with a line on what was only counted."""
        if now - self._since < WINDOW_S:
            return
        for (target, reason), count in self._counts.items():
            if count > FIRST:
                log.warning("more pushes not sent", target=target, reason=reason, count=count - FIRST)
        self._since, self._counts = now, {}

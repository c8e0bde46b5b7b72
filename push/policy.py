"""How long a push is worth sending, and when it is tried again. No I/O, no clock."""

import random
from dataclasses import dataclass

from tidewire.wire.push import SILENT_TYPES, Job

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 300.0


@dataclass(frozen=True)
class Ages:
    """Seconds after which a push is not sent any more. Of a test push only the first try counts: a person waits."""

    message_s: float = 3_600.0
    silent_s: float = 300.0

    def left_s(self, job: Job, now_ms: int) -> float:
        """Return how long the push may still wait; negative if it is too old."""
        limit = self.silent_s if job.notification.type in SILENT_TYPES else self.message_s
        return limit - (now_ms - job.created_at) / 1000

    def may_retry(self, job: Job, delay_s: float, now_ms: int) -> bool:
        """Tell whether another try after so long makes sense."""
        return job.notification.type != "test" and self.left_s(job, now_ms) > delay_s


def backoff_s(attempt: int) -> float:
    """Return the wait before the next try: 1, 2, 4 … 300 s, of which at least half, so that none comes at once.

    attempt: tries so far, from 1. Jitter, or all pushes of an outage would come back in one moment.
    """
    longest: float = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(attempt - 1, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, protects nothing

"""What the sender asks of a provider."""

from typing import Literal, Protocol

from push.verdicts import Verdict
from tidewire.wire.push import Job

Platform = Literal["apple", "android", "web", "proxy"]  # a metric's label


class Provider(Protocol):
    """One target at its provider. Belongs to one event loop."""

    platform: Platform

    async def send(self, job: Job) -> Verdict:
        """Try once, within the deadline of one attempt. Whatever the peer does is a verdict, not an exception."""

    async def keep(self) -> None:
        """Called every second or so: refresh what gets old. What fails is logged, not raised."""

    async def close(self) -> None:
        """Drop the connections."""

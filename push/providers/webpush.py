"""Browsers' push services, and UnifiedPush's: RFC 8030. Endpoints come from clients: nothing inside is ever called.

Each origin has a client of its own that goes to the address that was checked, a limit and a breaker, so that one push
service's trouble is not another's.
"""

import asyncio
import hashlib
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Collection

from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url

from push import payloads, verdicts
from push.breaker import Breaker
from push.providers.aes128gcm import PLAIN_LIMIT_BYTES, BadKeys, Vapid, encrypt
from push.providers.contract import Platform
from push.providers.http2 import Line, NoAnswer, builder, no_answer
from push.verdicts import Action, Verdict
from tidewire.outbound.addresses import AllowList
from tidewire.outbound.client import FetchError, look_up
from tidewire.outbound.push_endpoints import check_endpoint
from tidewire.wire.push import Job, Notification

ORIGINS = 200  # clients that are kept; there are four large push services, and some thousand small ones
AT_ONCE = 100  # pushes under way to one origin
ADDRESS_S = 60.0  # how long an address that was checked is used
ANSWER_BYTES = 2_000
_LIFE_S = {"clear": 3600, "update_badge": 3600, "test": 60}
_LIFE_MESSAGE_S = 72 * 3600
_EVERYWHERE = AllowList("")


class _Origin:
    """A push service."""

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.room = asyncio.Semaphore(AT_ONCE)
        self.client: Client | None = None
        self.address = ""
        self.checked = 0.0
        self.users = 0


class WebPush:
    """Every push service; see `contract.Provider`. allowed: "host:port" of services that may be private."""

    platform: Platform = "web"

    def __init__(self, vapid: Vapid, line: Line, *, allowed: Collection[str] = ()) -> None:
        builder(line)  # a bad file of authorities is found at the start
        self._vapid, self._line, self._allowed = vapid, line, frozenset(allowed)
        self._origins: OrderedDict[str, _Origin] = OrderedDict()

    async def send(self, job: Job) -> Verdict:
        """See contract.Provider.send."""
        subscription = job.subscription
        if subscription is None:
            return Verdict(Action.OPERATOR, "NoSubscription")
        try:
            url = check_endpoint(subscription.endpoint, self._allowed)
            plain = payloads.webpush(job, PLAIN_LIMIT_BYTES)
            if len(plain) > PLAIN_LIMIT_BYTES:
                return Verdict(Action.OPERATOR, "PayloadTooLarge", "does not fit even without its text")
            body = encrypt(plain, subscription.p256dh, subscription.auth)
        except FetchError as error:
            return Verdict(Action.REMOVE, "BadEndpoint", str(error))
        except BadKeys as error:
            return Verdict(Action.REMOVE, "BadKeys", str(error))
        origin = await self._origin(url)
        if wait_s := origin.breaker.wait_s(time.monotonic()):
            return Verdict(Action.RETRY, "Resting", after_s=wait_s)
        origin.users += 1
        try:
            async with asyncio.timeout(self._line.attempt_timeout_s), origin.room:
                verdict = await self._post(origin, url, job.notification, body)
        except TimeoutError:
            verdict = verdicts.unreachable("Timeout")
        except FetchError as error:
            # A name that is gone may come back; an address inside never gets right.
            verdict = Verdict(
                Action.REMOVE if error.refused else Action.RETRY,
                "BadEndpoint",
                str(error),
                ill=not error.refused,
            )
        except NoAnswer as error:
            verdict = verdicts.unreachable(error.word, error.why)
        finally:
            origin.users -= 1
        if not verdict.ill:
            origin.breaker.ok()
            return verdict
        origin.breaker.failed(time.monotonic())
        # The origin rests, not all of Web Push.
        return Verdict(verdict.action, verdict.reason, verdict.answer, verdict.after_s)

    async def _origin(self, url: Url) -> _Origin:
        name = url.origin_ascii
        origin = self._origins.get(name)
        if origin is None:
            origin = self._origins[name] = _Origin()
        self._origins.move_to_end(name)
        if len(self._origins) > ORIGINS:
            idle = next((n for n, one in self._origins.items() if not one.users and one is not origin), None)
            if idle is not None and (client := self._origins.pop(idle).client) is not None:
                await client.close()
        return origin

    async def _post(self, origin: _Origin, url: Url, body: Notification, data: bytes) -> Verdict:
        """Send to the address that was checked. Raises: FetchError, NoAnswer."""
        client = await self._client(origin, url)
        headers = {
            "ttl": str(_LIFE_S.get(body.type, _LIFE_MESSAGE_S)),
            "urgency": "low" if body.type in ("clear", "update_badge") else "high",
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "authorization": self._vapid.authorization(url.origin_ascii),
        }
        if topic := _topic(body):
            headers["topic"] = topic
        try:
            async with client.post(url).headers(headers).body_bytes(data).build_streamed() as response:
                # Strangers answer here: no more of it is read than is of use.
                text = await response.body_reader.read(ANSWER_BYTES) if response.status >= 300 else None
                retry_after = response.get_header("retry-after")
                return verdicts.webpush(response.status, bytes(text or b""), retry_after)
        except PyreqwestError as error:
            raise no_answer(error) from error

    async def _client(self, origin: _Origin, url: Url) -> Client:
        """Return the client for an address that was looked at a minute ago at most. Raises: FetchError."""
        if origin.client is not None and time.monotonic() - origin.checked < ADDRESS_S:
            return origin.client
        host, port = (url.host_str or "").strip("[]").lower(), url.port_or_known_default or 443
        addresses = await look_up(host, port)
        if f"{host}:{port}" not in self._allowed and not _EVERYWHERE.permits(host, addresses):
            raise FetchError("the endpoint leads inside", refused=True)
        if origin.client is None or origin.address not in addresses:
            made = (
                builder(self._line).no_proxy().http2(True).https_only(True).resolve(host, addresses[0], port)
            )
            # The old one is dropped, not closed: what is under way on it gets its answer.
            origin.client, origin.address = made.build(), addresses[0]
        origin.checked = time.monotonic()
        return origin.client

    async def keep(self) -> None:
        """See contract.Provider.keep. Nothing gets old here."""

    async def close(self) -> None:
        """See contract.Provider.close."""
        for origin in self._origins.values():
            if origin.client is not None:
                await origin.client.close()


def _topic(body: Notification) -> str:
    """Return the name under which a newer message replaces this one while it waits. Source: RFC 8030 5.4."""
    if body.type == "update_badge":
        words = f"badge:{body.server_id}"
    elif body.type == "clear":
        words = f"clear:{body.server_id}:{body.channel_id}:{body.root_id}"
    else:
        return ""
    digest = hashlib.blake2b(words.encode(errors="replace"), digest_size=24).digest()
    return urlsafe_b64encode(digest).decode()

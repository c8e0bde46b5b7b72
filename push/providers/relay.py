"""Another push proxy, Mattermost's own or a `tidewire push`: it has the credentials of the apps.

Source: mattermost-push-proxy, POST /api/v1/send_push.
"""

import msgspec
from pyreqwest.http import Url

from push import verdicts
from push.providers.contract import Platform
from push.providers.http2 import Line, Lines, NoAnswer, builder
from push.targets import BadConfig
from push.verdicts import Verdict
from tidewire.wire.push import Job, Notification

# The other proxy may try for as long itself before it answers.
ANSWER_S = 20.0
_ALWAYS = (
    "ack_id",
    "platform",
    "server_id",
    "device_id",
    "post_id",
    "is_crt_enabled",
    "is_id_loaded",
    "signature",
)
_encode = msgspec.json.Encoder().encode


class Relay:
    """One push proxy; see `contract.Provider`. Raises: BadConfig for an address that is none."""

    platform: Platform = "proxy"

    def __init__(self, url: str, line: Line, *, secret: str = "") -> None:
        """url: without path. secret: goes along as X-Mattermost-Auth."""
        try:
            if Url(url).scheme not in ("http", "https"):
                raise ValueError(url)
        except ValueError as error:
            raise BadConfig("the address of the push proxy is no http or https URL") from error
        self._url = url.rstrip("/") + "/api/v1/send_push"
        self._secret = secret
        patient = Line(max(line.attempt_timeout_s, ANSWER_S), 1, line.ca_file)
        self._lines = Lines([builder(patient).http2(True)])

    async def send(self, job: Job) -> Verdict:
        """See contract.Provider.send."""
        headers = {
            "content-type": "application/json",
            "x-mattermost-serverid": _header(job.notification.server_id),
        }
        if self._secret:
            headers["x-mattermost-auth"] = self._secret
        try:
            status, body, retry_after = await self._lines.post(
                self._url, headers, encode(job.notification), read=True
            )
        except NoAnswer as error:
            return verdicts.unreachable(error.word, error.why)
        return verdicts.proxy(status, body, retry_after)

    async def keep(self) -> None:
        """See contract.Provider.keep. Nothing gets old here."""

    async def close(self) -> None:
        """See contract.Provider.close."""
        await self._lines.close()


def encode(body: Notification) -> bytes:
    """Return the JSON as Mattermost's server sends it: these members always, the others unless they are empty."""
    plain = {name: getattr(body, name) for name in _ALWAYS}
    return _encode(plain | msgspec.to_builtins(body))


def _header(text: str) -> str:
    return text if text.isascii() and text.isprintable() else ""

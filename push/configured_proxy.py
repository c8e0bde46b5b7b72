"""The push proxy that an administrator names in the Config (EmailSettings.PushNotificationServer), as it is now."""

import structlog

from push.providers.contract import Platform
from push.providers.http2 import Line
from push.providers.relay import Relay
from push.targets import BadConfig
from push.verdicts import Action, Verdict
from tidewire.actions.config import Config
from tidewire.wire.push import Job

KEY = "EmailSettings.PushNotificationServer"
log = structlog.get_logger("push")


class ConfiguredProxy:
    """See `contract.Provider`. secret: goes along as X-Mattermost-Auth."""

    platform: Platform = "proxy"

    def __init__(self, config: Config, line: Line, secret: str) -> None:
        self._config = config
        self._line = line
        self._secret = secret
        self._url = ""
        self._relay: Relay | None = None
        self._old: list[Relay] = []

    async def send(self, job: Job) -> Verdict:
        """See contract.Provider.send. Without a proxy a push waits until there is one, or it is too old."""
        url = self._config.text(KEY)
        if url != self._url:
            self._change(url)
        if self._relay is None:
            return Verdict(Action.RETRY, "NoProxy", "no push proxy is configured")
        return await self._relay.send(job)

    async def keep(self) -> None:
        """See contract.Provider.keep."""
        old, self._old = self._old, []
        for relay in old:
            await relay.close()

    async def close(self) -> None:
        """See contract.Provider.close."""
        await self.keep()
        if self._relay is not None:
            await self._relay.close()

    def _change(self, url: str) -> None:
        if self._relay is not None:
            self._old.append(self._relay)
        self._url, self._relay = url, None
        if url:
            try:
                self._relay = Relay(url, self._line, secret=self._secret)
            except BadConfig as error:
                log.error("the configured push proxy cannot be used", problem=str(error))

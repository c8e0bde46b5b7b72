"""Google: one app build by FCM's HTTP v1 interface, data messages only. Source: Google, "FCM HTTP v1 API"."""

from pathlib import Path

from push import payloads, verdicts
from push.providers.contract import Platform
from push.providers.google_token import GoogleToken, Refused
from push.providers.http2 import Line, Lines, NoAnswer, builder
from push.targets import Android, BadConfig
from push.verdicts import Action, Verdict
from tidewire.wire.push import Job

GOOGLE = "https://fcm.googleapis.com"
_TOO_LARGE = Verdict(Action.OPERATOR, "INVALID_ARGUMENT", "does not fit even without its text")
_MOST_BYTES = payloads.FCM_LIMIT_BYTES + 5_000  # data and a token of up to 4 KiB; what is larger is no push


class Fcm:
    """One target at Google; see `contract.Provider`. Raises: BadConfig."""

    platform: Platform = "android"

    def __init__(self, target: Android, line: Line, *, folder: Path, url: str = "") -> None:
        """url: instead of Google's."""
        if not target.service_file_location:
            raise BadConfig("ServiceFileLocation is not set")
        self._token = GoogleToken(folder / target.service_file_location, line)
        project = self._token.account.project_id
        if not project.replace("-", "").replace(":", "").replace(".", "").isalnum():
            raise BadConfig("project_id of the service account is none")
        self._url = f"{url or GOOGLE}/v1/projects/{project}/messages:send"
        headers = {"content-type": "application/json", "x-goog-api-format-version": "2"}
        made = [
            builder(line).http2_prior_knowledge().https_only(True).default_headers(headers)
            for _ in range(line.connections)
        ]
        self._lines = Lines(made)

    async def send(self, job: Job) -> Verdict:
        """See contract.Provider.send."""
        payload = payloads.fcm(job)
        if len(payload) > _MOST_BYTES:
            return _TOO_LARGE
        try:
            token = await self._token.get()
            status, body, retry_after = await self._lines.post(
                self._url, {"authorization": "Bearer " + token}, payload
            )
        except NoAnswer as error:
            return verdicts.unreachable(error.word, error.why)
        except Refused as error:
            return Verdict(Action.OPERATOR, "OAuth2", str(error), pause=True)
        verdict = verdicts.fcm(status, body, retry_after)
        if verdict.renew:
            self._token.renew()
        return verdict

    async def keep(self) -> None:
        """See contract.Provider.keep. The first push should not wait for the first token."""
        self._lines.open()
        try:
            await self._token.get()
        except (NoAnswer, Refused):
            return  # logged where it was fetched

    async def close(self) -> None:
        """See contract.Provider.close."""
        await self._lines.close()
        await self._token.close()

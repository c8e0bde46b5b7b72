"""A bot as people write them with PyPI mmpy_bot: it answers, whispers, reacts, attaches, and has a button.

Runs in an environment of its own (.venv/bots); variables of the environment tell it where the server is and who it is.
"""

import tempfile
from pathlib import Path

from mmpy_bot import ActionEvent, Bot, Message, Plugin, Settings, WebHookEvent, listen_to, listen_webhook
from mmpy_bot.plugins import HelpPlugin


class Sailor(Plugin):
    """Says what it is asked for."""

    @listen_to(r"^hail (\w+)$")
    def hail(self, message: Message, whom: str) -> None:
        """Answer in the thread."""
        self.driver.reply_to(message, f"Ahoy, {whom}!")

    @listen_to("^whisper$")
    def whisper(self, message: Message) -> None:
        """Answer by a direct message."""
        self.driver.reply_to(message, "psst", direct=True)

    @listen_to("^called$", needs_mention=True)
    async def called(self, message: Message) -> None:
        """Answer only who names the bot."""
        self.driver.reply_to(message, "somebody called me")

    @listen_to("^secret$", direct_only=True)
    def secret(self, message: Message) -> None:
        """Answer only in a direct channel."""
        self.driver.reply_to(message, "between us")

    @listen_to("^like$")
    def like(self, message: Message) -> None:
        """React."""
        self.driver.react_to(message, "+1")

    @listen_to("^chart$")
    def chart(self, message: Message) -> None:
        """Answer with a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "chart.txt"
            path.write_text("here be dragons")
            self.driver.reply_to(message, "a chart", file_paths=[path])

    @listen_to("^button$")
    def button(self, message: Message) -> None:
        """Answer with a button that calls the bot."""
        url = f"{self.settings.WEBHOOK_HOST_URL}:{self.settings.WEBHOOK_HOST_PORT}/hooks/pressed"
        action = {"id": "press", "name": "Press", "integration": {"url": url, "context": {"text": "pressed"}}}
        self.driver.reply_to(message, "", props={"attachments": [{"text": "Well?", "actions": [action]}]})

    @listen_webhook("^pressed$")
    async def pressed(self, event: WebHookEvent) -> None:
        """Change the post whose button was pressed."""
        assert isinstance(event, ActionEvent)
        update = {"message": event.context["text"], "props": {}}
        self.driver.respond_to_web(event, {"update": update, "ephemeral_text": f"thanks, {event.user_name}"})

    @listen_webhook("^bell$")
    async def bell(self, event: WebHookEvent) -> None:
        """Tell a channel that an outgoing webhook of the server called."""
        self.driver.create_post(event.body["channel_id"], f"bell: {event.text}")


if __name__ == "__main__":
    Bot(settings=Settings(), plugins=[HelpPlugin(), Sailor()]).run()

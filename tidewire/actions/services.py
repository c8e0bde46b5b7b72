"""What an action may use: one bundle per process, opened at its start and closed at its end."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidewire.actions.config import Config
    from tidewire.actions.file_janitor import Janitor
    from tidewire.actions.file_store import FileStore
    from tidewire.actions.hook_calls import HookCalls
    from tidewire.actions.job_runner import Jobs
    from tidewire.actions.link_previews import LinkPreviews
    from tidewire.actions.login_limits import Throttle
    from tidewire.actions.mail import Mailer
    from tidewire.actions.post_writer import PostWriter
    from tidewire.actions.roles import Roles
    from tidewire.actions.thread_news import ThreadNews
    from tidewire.actions.typists import Typists
    from tidewire.actions.vault import Vault
    from tidewire.bus.cache import Cache
    from tidewire.bus.contract import Producer
    from tidewire.bus.redis_client import RedisClient
    from tidewire.outbound import Outbound
    from tidewire.pictures.workshop import Workshop
    from tidewire.settings import Settings
    from tidewire.store.db import Database


@dataclass(slots=True)
class Services:
    """The process's handles. Everything here is shared by all requests of a worker.

    cache holds hot rows under "session:<hash>", "user:<id>", "channel:<id>", "member:<channel>:<user>", …; it is
    bypassed while the bus cannot tell what changed.
    """

    settings: "Settings"
    db: "Database"
    cache: "Cache"
    producer: "Producer"
    redis: "RedisClient"
    throttle: "Throttle"
    posts: "PostWriter"
    news: "ThreadNews"
    typists: "Typists"
    config: "Config"
    roles: "Roles"
    workshop: "Workshop"
    mail: "Mailer"
    files: "FileStore"
    janitor: "Janitor"
    outbound: "Outbound"
    hooks: "HookCalls"
    links: "LinkPreviews"
    vault: "Vault"
    jobs: "Jobs"

    @property
    def version_id(self) -> str:
        """The value of X-Version-ID, equal on all nodes; it changes with the configuration."""
        return self.config.version_id

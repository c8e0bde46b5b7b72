"""Jobs as clients see them. Source: Mattermost API v4, Job."""

from msgspec import Struct, field


class Job(Struct):
    """Long work. Times are ms, progress is percent; data: what it is told, and what it tells."""

    id: str
    type: str
    create_at: int
    start_at: int
    last_activity_at: int
    status: str
    progress: int
    data: dict[str, str]
    priority: int = 0


class NewJob(Struct):
    """What somebody wants to have done; other members are ignored."""

    type: str = ""
    data: dict[str, str] | None = field(default=None)

"""What new rows start with. Data only. Source: Mattermost API v4, defaults of users, memberships and sessions."""

USER_NOTIFY_PROPS = {
    "email": "true",
    "push": "mention",
    "desktop": "mention",
    "desktop_sound": "true",
    "mention_keys": "",
    "channel": "true",
    "push_status": "online",
    "comments": "never",
    "first_name": "false",
    "desktop_threads": "all",
    "email_threads": "all",
    "push_threads": "all",
}
CHANNEL_NOTIFY_PROPS = {
    "desktop": "default",
    "push": "default",
    "email": "default",
    "mark_unread": "all",
    "ignore_channel_mentions": "default",
    "channel_auto_follow_threads": "off",
}
TIMEZONE = {"useAutomaticTimezone": "true", "automaticTimezone": "", "manualTimezone": ""}
DEFAULT_CHANNELS = {"town-square": "Town Square", "off-topic": "Off-Topic"}
DEFAULT_CHANNEL = "town-square"  # everybody in the team is in it; it cannot be left or archived


def session_props(
    csrf: str,
    *,
    platform: str = "",
    os: str = "",
    browser: str = "",
    mobile: bool = False,
    guest: bool = False,
) -> dict[str, str]:
    """Return the props of a new session. csrf: what `X-CSRF-Token` must say, a secret."""
    return {
        "platform": platform,
        "os": os,
        "browser": browser,
        "isMobile": "true" if mobile else "false",
        "is_guest": "true" if guest else "false",
        "csrf": csrf,
    }

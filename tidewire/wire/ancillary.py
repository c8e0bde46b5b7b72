"""Permissions that a part of the system console needs beside its own. Data and one pure function.

Source: Mattermost API v4, ancillary permissions of the console.
"""

_CHANNELS = ["read_channel", "read_public_channel", "list_team_channels", "view_team"]
_TEAMS = ["list_private_teams", "list_public_teams", "view_team"]
ANCILLARY: dict[str, list[str]] = {
    "sysconsole_read_reporting_site_statistics": ["get_analytics"],
    "sysconsole_read_reporting_team_statistics": ["view_team", "get_analytics"],
    "sysconsole_read_reporting_server_logs": ["get_logs"],
    "sysconsole_read_user_management_channels": _CHANNELS,
    "sysconsole_write_user_management_channels": [
        "manage_team", "manage_public_channel_properties", "manage_private_channel_properties",
        "manage_public_channel_members", "manage_private_channel_members", "delete_private_channel",
        "delete_public_channel", "manage_channel_roles", "convert_public_channel_to_private",
        "convert_private_channel_to_public",
    ],
    "sysconsole_read_user_management_teams": _TEAMS,
    "sysconsole_write_user_management_teams": [
        "manage_team", "manage_team_roles", "remove_user_from_team", "join_private_teams", "join_public_teams",
        "add_user_to_team",
    ],
    "sysconsole_read_user_management_users": ["read_other_users_teams", "get_analytics"],
    "sysconsole_write_user_management_users": ["edit_other_users", "demote_to_guest", "promote_guest"],
    "sysconsole_read_environment_elasticsearch": ["read_elasticsearch_post_indexing_job"],
    "sysconsole_write_environment_web_server": ["test_site_url", "reload_config", "invalidate_caches"],
    "sysconsole_write_environment_database": ["recycle_database_connections"],
    "sysconsole_write_environment_smtp": ["test_email"],
    "sysconsole_write_environment_file_storage": ["test_s3"],
    "sysconsole_write_site_customization": ["edit_brand"],
    "sysconsole_write_user_management_groups": ["manage_team", "view_team"],
}  # fmt: skip


def with_ancillary(permissions: list[str]) -> list[str]:
    """Return the permissions and what each brings with it, without repeats, in order."""
    return list(dict.fromkeys([*permissions, *(more for name in permissions for more in ANCILLARY.get(name, ()))]))

"""What each operation on users, statuses and preferences answers: rows of requests. Source: Mattermost API v4.

Braces in paths and bodies stand for ids of the crew: {me} is the member's, {unknown} nobody's.
"""

from typing import Any

BODY = "api.context.invalid_body_param.app_error"
URL = "api.context.invalid_url_param.app_error"
NO = "api.context.permissions.app_error"
MISSING = "app.user.missing_account.const"
LONG = "x" * 26

# Who may: method, path, body, then the statuses of
CALLERS = ("anonymous", "gone", "stranger", "guest", "bot", "member", "owner", "admin")
Row = tuple[str, str, Any, tuple[int, ...]]
EVERYBODY = (401, 401, 200, 200, 200, 200, 200, 200)
SELF = (401, 401, 403, 403, 403, 200, 403, 200)
ADMINS = (401, 401, 403, 403, 403, 403, 403, 200)
PREFERENCE = {"user_id": "{me}", "category": "table", "name": "row", "value": "1"}
MAY: list[Row] = [
    ("GET", "/users", None, EVERYBODY),
    ("GET", "/users?in_team={team}", None, (401, 401, 403, 200, 403, 200, 200, 200)),
    ("GET", "/users?in_channel={channel}", None, (401, 401, 403, 200, 403, 200, 200, 200)),
    ("GET", "/users?in_channel={private}", None, (401, 401, 403, 403, 403, 200, 200, 200)),
    ("GET", "/users?in_team={unknown}", None, (401, 401, 403, 403, 403, 403, 403, 200)),
    ("GET", "/users?without_team=true", None, ADMINS),
    ("GET", "/users/{me}", None, EVERYBODY),
    ("GET", "/users/{stranger}", None, (401, 401, 200, 403, 200, 200, 200, 200)),
    ("GET", "/users/{unknown}", None, (401, 401, 404, 403, 404, 404, 404, 404)),
    ("GET", "/users/username/member", None, EVERYBODY),
    ("GET", "/users/username/stranger", None, (401, 401, 200, 403, 200, 200, 200, 200)),
    ("GET", "/users/username/nobody", None, (401, 401, 404, 403, 404, 404, 404, 404)),
    ("GET", "/users/email/stranger@example.org", None, (401, 401, 200, 403, 200, 200, 200, 200)),
    ("GET", "/users/email/nobody@example.org", None, (401, 401, 404, 403, 404, 404, 404, 404)),
    ("POST", "/users/ids", ["{me}"], EVERYBODY),
    ("POST", "/users/usernames", ["member"], EVERYBODY),
    ("POST", "/users/group_channels", ["{channel}"], EVERYBODY),
    ("POST", "/users/search", {"term": "me"}, EVERYBODY),
    ("POST", "/users/search", {"term": "me", "team_id": "{team}"}, (401, 401, 403, 200, 403, 200, 200, 200)),
    ("POST", "/users/search", {"term": "me", "in_channel_id": "{private}"}, (401, 401, 403, 403, 403, 200, 200, 200)),
    ("GET", "/users/autocomplete?name=m", None, EVERYBODY),
    ("GET", "/users/autocomplete?name=m&in_team={team}", None, (401, 401, 403, 200, 403, 200, 200, 200)),
    ("GET", "/users/autocomplete?name=m&in_channel={private}", None, (401, 401, 403, 403, 403, 200, 200, 200)),
    ("GET", "/users/known", None, EVERYBODY),
    ("GET", "/users/stats", None, EVERYBODY),
    ("GET", "/reports/users", None, ADMINS),
    ("GET", "/reports/users/count", None, ADMINS),
    ("PUT", "/users/{me}/patch", {"position": "x"}, SELF),
    ("PUT", "/users/{me}", {"id": "{me}", "position": "x"}, SELF),
    ("PUT", "/users/{me}/roles", {"roles": "system_user"}, ADMINS),
    ("PUT", "/users/{me}/active", {"active": True}, ADMINS),
    ("DELETE", "/users/{me}?permanent=true", None, (*ADMINS[:-1], 403)),
    ("GET", "/users/{me}/preferences", None, SELF),
    ("PUT", "/users/{me}/preferences", [PREFERENCE], SELF),
    ("GET", "/users/{me}/preferences/table", None, SELF),
    ("GET", "/users/{me}/preferences/table/name/row", None, SELF),
    ("POST", "/users/{me}/preferences/delete", [PREFERENCE], SELF),
    ("POST", "/users/{me}/typing", {"channel_id": "{channel}"}, SELF),
]

# What is wrong: method, path, body, status, id; asked by the member.
FAULTS: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/users?in_team=x", None, 400, URL),
    ("GET", "/users?active=true&inactive=true", None, 400, URL),
    ("GET", "/users?not_in_channel={channel}", None, 400, URL),
    ("GET", "/users?sort=nonsense", None, 400, URL),
    ("GET", "/users?sort=admin", None, 400, URL),
    ("GET", "/users?sort=status&in_team={team}", None, 400, URL),
    ("GET", "/users?sort=last_activity_at", None, 400, URL),
    ("GET", "/users?sort=create_at&in_channel={channel}", None, 400, URL),
    ("GET", "/users?sort=create_at&in_team={team}&not_in_team={team}", None, 400, URL),
    ("GET", "/users?sort=display_name", None, 400, URL),
    ("GET", "/users?roles=a%20b", None, 400, URL),
    ("GET", "/users?in_group=" + LONG, None, 501, "api.ldap_groups.license_error"),
    ("GET", "/users/x", None, 400, URL),
    ("GET", "/users/{unknown}", None, 404, MISSING),
    ("POST", "/users/ids", [], 400, BODY),
    ("POST", "/users/ids", {}, 400, BODY),
    ("POST", "/users/ids", [1], 400, BODY),
    ("POST", "/users/usernames", [], 400, BODY),
    ("POST", "/users/group_channels", [], 400, BODY),
    ("POST", "/users/search", {}, 400, BODY),
    ("POST", "/users/search", {"term": "  "}, 400, BODY),
    ("POST", "/users/search", {"term": "a", "limit": 1001}, 400, BODY),
    ("POST", "/users/search", {"term": "a", "limit": -1}, 400, BODY),
    ("POST", "/users/search", {"term": "a", "team_id": "x"}, 400, BODY),
    ("POST", "/users/search", {"term": "a", "not_in_channel_id": "{channel}"}, 400, BODY),
    ("POST", "/users/search", {"term": "a", "roles": ["a b"]}, 400, BODY),
    ("POST", "/users/search", {"term": "a", "roles": ["a"] * 21}, 400, BODY),
    ("POST", "/users/search", {"term": "a", "in_group_id": LONG}, 501, "api.ldap_groups.license_error"),
    ("GET", "/users/autocomplete?in_team=x", None, 400, URL),
    ("PUT", "/users/{me}", {"nickname": "x"}, 400, BODY),
    ("PUT", "/users/{me}", {"id": "{owner}", "nickname": "x"}, 400, BODY),
    ("PUT", "/users/{me}/patch", {"username": "owner"}, 400, "app.user.save.username_exists.app_error"),
    ("PUT", "/users/{me}/patch", {"email": "new@example.org"}, 400, BODY),
    ("PUT", "/users/{me}/patch", {"nickname": "x" * 65}, 400, "model.user.is_valid.nickname.app_error"),
    ("PUT", "/users/{me}/active", {"active": False}, 403, "api.user.update_active.not_enable.app_error"),
    ("PUT", "/users/{me}/active", {}, 400, BODY),
    ("PUT", "/users/{me}/active", {"active": "no"}, 400, BODY),
    ("DELETE", "/users/{me}", None, 403, "api.user.update_active.not_enable.app_error"),
    ("PUT", "/users/{me}/roles", {"roles": "system_admin system_user"}, 403, NO),
    ("PUT", "/users/{me}/preferences", [], 400, BODY),
    ("PUT", "/users/{me}/preferences", [PREFERENCE] * 101, 400, BODY),
    ("PUT", "/users/{me}/preferences", [PREFERENCE | {"user_id": "{owner}"}], 403,
     "api.preference.update_preferences.set.app_error"),
    ("PUT", "/users/{me}/preferences", [PREFERENCE | {"category": ""}], 400,
     "model.preference.is_valid.category.app_error"),
    ("PUT", "/users/{me}/preferences", [PREFERENCE | {"name": "x" * 33}], 400,
     "model.preference.is_valid.name.app_error"),
    ("PUT", "/users/{me}/preferences", [PREFERENCE | {"value": "x" * 20_001}], 400,
     "model.preference.is_valid.value.app_error"),
    ("PUT", "/users/{me}/preferences", [PREFERENCE | {"category": "theme", "value": "dark"}], 400,
     "model.preference.is_valid.theme.app_error"),
    ("PUT", "/users/{me}/preferences",
     [PREFERENCE | {"category": "sidebar_settings", "name": "limit_visible_dms_gms", "value": "41"}], 400,
     "model.preference.is_valid.limit_visible_dms_gms.app_error"),
    ("PUT", "/users/{me}/preferences", [PREFERENCE | {"category": "flagged_post", "name": "x"}], 400, BODY),
    ("PUT", "/users/{me}/preferences", [PREFERENCE | {"category": "flagged_post", "name": "{unknown}"}], 403, NO),
    ("POST", "/users/{me}/preferences/delete", [], 400, BODY),
    ("POST", "/users/{me}/preferences/delete", [PREFERENCE | {"user_id": "{owner}"}], 403,
     "api.preference.delete_preferences.delete.app_error"),
    ("GET", "/users/{me}/preferences/nothing", None, 404, "app.preference.get_category.app_error"),
    ("GET", "/users/{me}/preferences/nothing/name/x", None, 404, "app.preference.get.app_error"),
]  # fmt: skip

# The same, asked by the admin.
ADMIN_FAULTS: list[tuple[str, str, Any, int, str]] = [
    ("PUT", "/users/{me}/roles", {}, 400, BODY),
    ("PUT", "/users/{me}/roles", {"roles": ""}, 400, BODY),
    ("PUT", "/users/{me}/roles", {"roles": "system_admin"}, 400, BODY),
    ("PUT", "/users/{me}/roles", {"roles": "system_user no-such"}, 400, BODY),
    ("PUT", "/users/{me}/roles", {"roles": "system_user " + "x" * 260}, 400, BODY),
    ("PUT", "/users/{me}/roles", {"roles": "system_user nonsense"}, 400, "app.role.check_roles_exist.role_not_found"),
    ("PUT", "/users/{me}/roles", {"roles": "system_user system_manager"}, 400,
     "api.user.update_user_roles.license.app_error"),
    ("PUT", "/users/{unknown}/roles", {"roles": "system_user"}, 404, MISSING),
    ("PUT", "/users/{unknown}/active", {"active": True}, 404, MISSING),
    ("DELETE", "/users/{unknown}", None, 404, MISSING),
    ("DELETE", "/users/{me}?permanent=true", None, 403, "api.user.delete_user.not_enabled.app_error"),
    ("PUT", "/users/{unknown}/patch", {"nickname": "x"}, 404, MISSING),
]  # fmt: skip

USER = {
    "id", "delete_at", "username", "auth_data", "auth_service", "email", "nickname", "first_name", "last_name",
    "position", "roles", "locale", "timezone", "disable_welcome_email", "create_at", "update_at",
}  # fmt: skip
OK = {"status": "OK"}
# Shapes, seen by the member: method, path, body; the answer, or a set: the members that each of its objects has.
SHAPES: list[tuple[str, str, Any, Any]] = [
    ("GET", "/users?in_channel={channel}", None, USER),
    ("GET", "/users?in_channel={channel}&page=9", None, []),
    ("GET", "/users?role=nobody", None, []),
    ("POST", "/users/ids", ["{unknown}"], []),
    ("POST", "/users/ids", ["{owner}"], USER),
    ("POST", "/users/ids?since=99999999999999", ["{owner}"], []),
    ("POST", "/users/usernames", ["nobody"], []),
    ("POST", "/users/usernames", ["owner"], USER),
    ("POST", "/users/group_channels", ["{channel}"], {}),
    ("POST", "/users/search", {"term": "nosuchname"}, []),
    ("POST", "/users/search", {"term": "owner"}, USER),
    ("GET", "/users/autocomplete?name=nosuchname", None, {"users": []}),
    ("PUT", "/users/{me}/preferences", [PREFERENCE], OK),
    ("GET", "/users/{me}/preferences/table", None, [PREFERENCE]),
    ("GET", "/users/{me}/preferences/table/name/row", None, PREFERENCE),
    ("POST", "/users/{me}/preferences/delete", [PREFERENCE], OK),
    ("POST", "/users/{me}/typing", {"channel_id": "{channel}", "parent_id": ""}, OK),
]

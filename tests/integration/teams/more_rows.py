"""Who may do what, for the operations that rows.py does not have: the system's own, pictures, statuses, drafts, posts.

As PERMISSIONS there: method, path, body, and the statuses of stranger, guest, teammate, member, bot, chanadmin,
teamadmin and admin; strangers to the server and the deactivated get 401.
"""

from typing import Any

# fmt: off
Row = tuple[str, str, Any, tuple[int, ...]]
ALL = (200,) * 8
ADMIN = (403,) * 7 + (200,)
SELF = (403, 403, 403, 200, 403, 403, 403, 200)  # the member's own thing
OWN_FAULT = (403, 403, 403, 400, 403, 403, 403, 400)  # his own thing, and a body that is wrong
NO_BOT = (404,) * 7 + (200,)  # who may not see a bot learns nothing of it
IN_PRIVATE = (404, 200, 404, 200, 200, 200, 404, 200)  # who reads the private channel

MORE: list[Row] = [
    # -- what every client asks when it starts
    ("GET", "/agents", None, ALL),
    ("GET", "/agents/status", None, ALL),
    ("GET", "/limits/server", None, ALL),
    ("GET", "/system/timezones", None, ALL),
    ("GET", "/system/notices/{team}", None, ALL),
    ("PUT", "/system/notices/view", ["x"], ALL),
    ("GET", "/trial-license/prev", None, ALL),
    ("POST", "/client_perf", {}, ALL),
    ("GET", "/usage/posts", None, ALL),
    ("GET", "/usage/storage", None, ALL),
    ("GET", "/custom_profile_attributes/fields", None, ALL),
    ("POST", "/roles/names", ["team_user"], ALL),
    ("GET", "/roles/name/team_user", None, ALL),
    ("POST", "/users/status/ids", ["{member}"], ALL),
    ("POST", "/emoji/names", ["wave"], ALL),
    # -- the system's
    ("GET", "/analytics/old?name=standard", None, ADMIN),
    ("POST", "/caches/invalidate", None, ADMIN),
    ("GET", "/cluster/status", None, ADMIN),
    ("GET", "/config", None, ADMIN),
    ("PUT", "/config", {"ServiceSettings": {"SiteURL": "https://x.example"}}, (403,) * 7),
    ("GET", "/config/environment", None, ALL),  # of what the caller may see, which is nothing
    ("PUT", "/config/patch", {"TeamSettings": {"MaxUsersPerTeam": -1}}, (403,) * 7 + (400,)),
    ("PUT", "/config/patch", {}, ADMIN),
    ("POST", "/config/reload", None, ADMIN),
    ("GET", "/data_retention/policy", None, (501,) * 8),
    ("POST", "/email/test", {}, (403,) * 7 + (400,)),
    ("POST", "/file/s3_test", {}, (403,) * 7 + (400,)),
    ("GET", "/jobs", None, (400,) * 7 + (200,)),
    ("POST", "/jobs", {"type": "x"}, (400,) * 8),
    ("GET", "/jobs/type/migrations", None, (400,) * 7 + (200,)),
    ("GET", "/logs", None, ADMIN),
    ("POST", "/permissions/ancillary", ["sysconsole_read_site_posts"], ALL),
    ("GET", "/roles", None, ADMIN),
    ("POST", "/site_url/test", {"site_url": "x"}, (403,) * 7 + (400,)),
    ("GET", "/system/onboarding/complete", None, ADMIN),
    ("POST", "/system/onboarding/complete", {}, ADMIN),
    ("POST", "/users/sessions/revoke/all", None, (403,) * 7),
    ("GET", "/redirect_location?url=https://example.org", None, ALL),
    # -- accounts and statuses
    ("GET", "/users/{member}/status", None, ALL),
    ("GET", "/users/{member}/audits", None, SELF),
    ("GET", "/users/{member}/sessions", None, SELF),
    ("POST", "/users/{member}/sessions/revoke", {"session_id": "{unknown}"}, OWN_FAULT),
    ("POST", "/users/{new_newcomer}/sessions/revoke/all", None, ADMIN),
    ("PUT", "/users/sessions/device", {"mobile_version": "2.30.0"}, ALL),
    ("GET", "/users/{member}/tokens", None, ADMIN),
    ("POST", "/users/{member}/tokens", {"description": "x"}, ADMIN),
    ("GET", "/users/tokens", None, ADMIN),
    ("POST", "/users/tokens/search", {"term": "member"}, ADMIN),
    ("GET", "/users/tokens/{new_token}", None, ADMIN),
    ("POST", "/users/tokens/disable", {"token_id": "{new_token}"}, ADMIN),
    ("POST", "/users/tokens/enable", {"token_id": "{new_token}"}, ADMIN),
    ("POST", "/users/tokens/revoke", {"token_id": "{new_token}"}, ADMIN),
    ("POST", "/users/{member}/mfa/generate", None, SELF),
    ("PUT", "/users/{new_newcomer}/mfa", {"activate": False}, ADMIN),
    ("PUT", "/users/{member}/password", {"new_password": "x"}, OWN_FAULT),
    ("POST", "/users/{member}/reset_failed_attempts", None, ADMIN),
    ("GET", "/users/{member}/terms_of_service", None, (403, 403, 403, 404, 403, 403, 403, 403)),
    ("POST", "/bots", {"username": "bot{n}"}, (*ADMIN[:-1], 201)),
    ("GET", "/bots", None, ADMIN),
    ("GET", "/bots/{new_bot}", None, NO_BOT),
    ("PUT", "/bots/{new_bot}", {"description": "d"}, NO_BOT),
    ("POST", "/bots/{new_bot}/disable", None, NO_BOT),
    ("POST", "/bots/{new_bot}/enable", None, NO_BOT),
    ("POST", "/bots/{new_bot}/assign/{member}", None, ADMIN),
    ("GET", "/audits", None, ADMIN),
    ("POST", "/users/{member}/promote", None, (403, 403, 403, 403, 403, 403, 403, 501)),
    ("POST", "/users/{guest}/demote", None, (403, 403, 403, 403, 403, 403, 403, 501)),
    ("POST", "/users/{member}/email/verify/member", None, ADMIN),
    ("GET", "/users/{member}/image", None, (200,) * 8),
    ("GET", "/users/{stranger}/image", None, (200, 403, 200, 200, 200, 200, 200, 200)),
    ("GET", "/users/{member}/image/default", None, (200,) * 8),
    ("DELETE", "/users/{member}/image", None, SELF),
    ("PUT", "/users/{member}/status", {"user_id": "{member}", "status": "away"}, SELF),
    ("PUT", "/users/{member}/status/custom", {"emoji": "wave", "text": "x"}, SELF),
    ("DELETE", "/users/{member}/status/custom", None, SELF),
    ("POST", "/users/{member}/status/custom/recent/delete", {"emoji": "wave", "text": "x"},
     (403, 403, 403, 200, 403, 403, 403, 400)),  # the first one took it away
    # -- teams
    ("GET", "/teams/{team}/image", None, (403, 404, 404, 404, 404, 404, 404, 404)),
    ("DELETE", "/teams/{team}/image", None, (403, 403, 403, 403, 403, 403, 200, 200)),
    # -- channels and posts
    ("POST", "/channels/group", ["{member}", "{chanadmin}", "{teamadmin}"], (201, 403, 201, 201, 201, 201, 201, 201)),
    ("POST", "/posts/ids", ["{root}"], ALL),
    ("POST", "/posts/ids/reactions", ["{root}"], ALL),
    ("POST", "/posts/ephemeral", {"user_id": "{member}", "post": {"channel_id": "{private}", "message": "x"}},
     (403, 403, 403, 403, 403, 403, 403, 201)),
    ("POST", "/reactions", {"user_id": "{member}", "post_id": "{root}", "emoji_name": "wave"},
     (403, 403, 403, 200, 403, 403, 403, 403)),
    ("GET", "/posts/{root}/info", None, IN_PRIVATE),
    ("GET", "/posts/{root}/files/info", None, IN_PRIVATE),
    ("GET", "/posts/{root}/edit_history", None, (404, 403, 404, 404, 403, 403, 404, 403)),
    ("POST", "/posts/{root}/restore/{unknown}", None, (404, 403, 404, 400, 403, 403, 404, 403)),
    ("GET", "/users/{member}/posts/flagged", None, SELF),
    ("POST", "/users/{member}/posts/{root}/reminder", {"target_time": 9999999999}, SELF),
    ("POST", "/users/{member}/posts/{root}/ack", None, SELF),
    ("DELETE", "/users/{member}/posts/{root}/ack", None, (403, 403, 403, 200, 403, 403, 403, 404)),  # he took it back
    ("POST", "/drafts", {"channel_id": "{private}", "message": "x", "user_id": "{member}"},
     (403, 201, 403, 201, 201, 201, 201, 201)),
    ("GET", "/users/{member}/teams/{team}/drafts", None, SELF),
    ("DELETE", "/users/{member}/channels/{private}/drafts", None, SELF),
    ("DELETE", "/users/{member}/channels/{private}/drafts/{root}", None, SELF),
    ("GET", "/posts/scheduled/team/{team}", None, (403, *ALL[1:])),
    ("POST", "/posts/schedule", {}, (400,) * 8),
    ("PUT", "/posts/schedule/{unknown}", {}, (400,) * 8),
    ("DELETE", "/posts/schedule/{unknown}", None, (400,) * 8),
    # -- notifications
    ("POST", "/notifications/test", None, ALL),
]

_NO_POST, _NO = "app.post.get.app_error", "api.context.permissions.app_error"
_NO_TEAM, _NO_CHANNEL = "app.team.get.find.app_error", "app.channel.get.existing.app_error"

# What goes wrong, as ERRORS in rows.py: caller, method, path, body, status, error id.
WRONG: list[tuple[str, str, str, Any, int, str]] = [
    ("member", "GET", "/users/{unknown}/status", None, 404, "api.status.user_not_found.app_error"),
    ("member", "POST", "/teams/{team}/members/batch", [{"user_id": "{gone}"}], 400, "api.team.add_members.error"),
    ("member", "GET", "/teams/name/home/channels/name/nothing", None, 404, "app.channel.get_by_name.missing.app_error"),
    ("member", "PUT", "/channels/{archived}", {"id": "{archived}", "header": "x"}, 400,
     "api.channel.update_channel.deleted.app_error"),
    ("admin", "POST", "/channels/{group}/convert_to_channel", {"channel_id": "{group}", "team_id": "{team}",
     "name": "c{n}", "display_name": "C"}, 403,
     "api.channel.gm_to_channel_conversion.not_allowed_for_user.request_error"),
    ("member", "POST", "/posts", {"channel_id": "{private}", "message": "x", "root_id": "{unknown}"}, 400,
     "api.post.create_post.root_id.app_error"),
    ("member", "POST", "/posts", {"channel_id": "{channel}", "message": "x", "root_id": "{root}"}, 400,
     "api.post.create_post.root_id.app_error"),
    ("member", "POST", "/posts", {"channel_id": "{archived}", "message": "x"}, 400,
     "api.post.create_post.can_not_post_to_deleted.error"),
    ("member", "POST", "/posts", {"channel_id": "{private}", "message": "x" * 16_384}, 400,
     "model.post.is_valid.message_length.app_error"),
    ("member", "POST", "/posts/ids", [], 400, "api.post.posts_by_ids.invalid_body.request_error"),
    ("member", "DELETE", "/posts/{root}?permanent=true", None, 501, "api.post.delete_post.not_enabled.app_error"),
    ("admin", "DELETE", "/posts/{root}?permanent=true", None, 501, "api.post.delete_post.not_enabled.app_error"),
    ("member", "GET", "/posts/{unknown}/info", None, 404, _NO_POST),
    ("admin", "GET", "/posts/{unknown}/info", None, 404, _NO_POST),
    ("teammate", "GET", "/posts/{root}/info", None, 404, _NO_POST),  # he may neither read nor join
    ("stranger", "GET", "/posts/{root}/info", None, 404, _NO_POST),
    ("member", "POST", "/users/me/posts/{unknown}/ack", None, 404, _NO_POST),
    ("member", "POST", "/users/me/posts/{unknown}/reminder", {"target_time": 9_999_999_999}, 404, _NO_POST),
    ("member", "PUT", "/users/me/teams/{team}/threads/{unknown}/read/1", None, 404, _NO_POST),
    ("admin", "PUT", "/channels/{unknown}", {"id": "{unknown}", "header": "x"}, 404, _NO_CHANNEL),
    ("admin", "PUT", "/channels/{unknown}/privacy", {"privacy": "P"}, 404, _NO_CHANNEL),
    ("admin", "PUT", "/channels/{channel}/members/{unknown}/schemeRoles", {"scheme_user": True, "scheme_admin": False},
     404, "app.channel.get_member.missing.app_error"),
    ("admin", "PUT", "/teams/{unknown}", {"id": "{unknown}", "display_name": "x"}, 404, _NO_TEAM),
    ("admin", "PUT", "/teams/{unknown}/privacy", {"privacy": "O"}, 404, _NO_TEAM),
    ("admin", "PUT", "/teams/{team}/members/{unknown}/schemeRoles", {"scheme_user": True, "scheme_admin": False}, 404,
     "app.team.get_member.missing.app_error"),
    ("admin", "PUT", "/users/{member}/teams/{unknown}/channels/categories", [{"id": "{unknown}"}], 404, _NO_TEAM),
    ("admin", "PUT", "/users/{member}/teams/{unknown}/channels/categories/order", ["{unknown}"], 404, _NO_TEAM),
    ("admin", "GET", "/teams/name/nothing", None, 404, _NO_TEAM),
    ("admin", "GET", "/roles/name/nothing", None, 404, "app.role.get_by_name.app_error"),
    ("admin", "POST", "/users/{unknown}/demote", None, 404, "app.user.missing_account.const"),
    ("guest", "GET", "/users/{stranger}/image/default", None, 403, _NO),
    ("stranger", "POST", "/users/{member}/image", None, 403, _NO),
    ("member", "POST", "/teams/{team}/image", None, 403, _NO),
    ("anonymous", "POST", "/logs", {"level": "ERROR", "message": "x"}, 403, _NO),
    ("member", "GET", "/posts/{root}?include_deleted=true", None, 403, _NO),
    ("anonymous", "GET", "/brand/image", None, 404, ""),
    ("member", "POST", "/posts/schedule", {}, 400, "api.scheduled_posts.license_error"),
    ("anonymous", "GET", "/license/client", None, 400, "api.license.client.old_format.app_error"),
    ("admin", "POST", "/email/test", {}, 400, "api.file.test_connection_email_settings_nil.app_error"),
    ("admin", "POST", "/file/s3_test", {}, 400, "api.admin.test_s3.missing_s3_bucket"),
    ("member", "GET", "/jobs", None, 400, "api.job.retrieve.nopermissions"),
    ("admin", "GET", "/jobs?status=x", None, 400, "api.job.status.invalid"),
    ("admin", "POST", "/jobs", {"type": "x"}, 400, "api.job.unable_to_create_job.incorrect_job_type"),
    ("member", "GET", "/jobs/type/migrations", None, 400, "api.job.retrieve.nopermissions"),
    ("admin", "GET", "/data_retention/policy", None, 501, "ent.data_retention.generic.license.error"),
    ("admin", "GET", "/reports/users?page_size=101", None, 400, "api.getUsersForReporting.invalid_page_size"),
]

# Lists that are paged, asked by the admin: "page=-1" and words are the first page, too much is 200, far away is empty.
PAGED = (
    "/users", "/teams", "/teams/{team}/members", "/teams/{team}/channels", "/teams/{team}/channels/deleted",
    "/channels/{channel}/members", "/audits", "/users/{member}/audits", "/users/{member}/tokens", "/users/tokens",
    "/bots", "/users/{member}/channel_members",
)

# Operations that other tests try with all kinds of callers: of which family, by the beginning of the path.
ELSEWHERE = {
    "/files/{file_id}/public": "files", "/image": "links",
    "/exports": "bulk, test_jobs", "/imports": "bulk, test_jobs", "/jobs/{job_id}": "bulk, test_jobs",
    "/notifications/ack": "push", "/users/{user_id}/webpush": "push",
    "/users/{user_id}/terms_of_service": "accounts, test_signup",
    "/users/{user_id}/status/custom/recent": "people",
    "/teams/members/invite": "teams, test_strict", "/users/{user_id}/image": "people, uploads",
    "/teams/{team_id}/image": "people, uploads", "/roles/{role_id}": "api, test_roles",
}

"""Who may do what, for emojis, files, searches, webhooks, commands, buttons and dialogs; and what goes wrong.

As PERMISSIONS in rows.py: method, path, body, and the statuses of stranger, guest, teammate, member, bot, chanadmin,
teamadmin and admin; strangers to the server and the deactivated get 401. Hooks and commands are teamadmin's.
"""

from typing import Any

# fmt: off
Row = tuple[str, str, Any, tuple[int, ...]]
ALL = (200,) * 8
INCOMING = {"channel_id": "{square}", "display_name": "x"}
OUTGOING = {"team_id": "{team}", "trigger_words": ["w{n}"], "callback_urls": ["http://x.example/"]}
COMMAND = {"team_id": "{team}", "trigger": "t{n}", "method": "P", "url": "http://x.example/"}
MANAGERS, MADE = (403,) * 6 + (200, 200), (403,) * 6 + (201, 201)
OF_TEAM = (404, *MANAGERS[1:])  # strangers to the team learn nothing of it
IN_TEAM = (403,) + (200,) * 7
IN_PRIVATE = (403, 200, 403, 200, 200, 200, 403, 200)

PROGRAMS: list[Row] = [
    # -- webhooks
    ("POST", "/hooks/incoming", INCOMING, MADE),
    ("GET", "/hooks/incoming", None, (403, 403, 403, 403, 403, 403, 403, 200)),
    ("GET", "/hooks/incoming?team_id={team}", None, MANAGERS),
    ("GET", "/hooks/incoming/{new_incoming}", None, MANAGERS),
    ("PUT", "/hooks/incoming/{new_incoming}", INCOMING, MADE),
    ("DELETE", "/hooks/incoming/{new_incoming}", None, MANAGERS),
    ("POST", "/hooks/outgoing", OUTGOING, MADE),
    ("GET", "/hooks/outgoing", None, (403, 403, 403, 403, 403, 403, 403, 200)),
    ("GET", "/hooks/outgoing?team_id={team}", None, MANAGERS),
    ("GET", "/hooks/outgoing/{new_outgoing}", None, MANAGERS),
    ("PUT", "/hooks/outgoing/{new_outgoing}", OUTGOING, MANAGERS),
    ("POST", "/hooks/outgoing/{new_outgoing}/regen_token", None, MANAGERS),
    ("DELETE", "/hooks/outgoing/{new_outgoing}", None, MANAGERS),
    # -- commands
    ("POST", "/commands", COMMAND, MADE),
    ("GET", "/commands?team_id={team}", None, IN_TEAM),
    ("GET", "/commands?team_id={team}&custom_only=true", None, MANAGERS),
    ("GET", "/commands/{new_command}", None, OF_TEAM),
    ("PUT", "/commands/{new_command}", COMMAND, OF_TEAM),
    ("PUT", "/commands/{new_command}/move", {"team_id": "{team}"}, OF_TEAM),
    ("PUT", "/commands/{new_command}/regen_token", None, OF_TEAM),
    ("DELETE", "/commands/{new_command}", None, OF_TEAM),
    ("POST", "/commands/execute", {"command": "/shrug", "channel_id": "{private}"}, (403, 200, 403, 200, 200, 200, 200,
     200)),
    ("GET", "/teams/{team}/commands/autocomplete", None, IN_TEAM),
    ("GET", "/teams/{team}/commands/autocomplete_suggestions?user_input=/a", None, IN_TEAM),
    # -- buttons and dialogs
    ("POST", "/posts/{button}/actions/press", {}, (404, 400, 404, 400, 400, 400, 404, 400)),  # nothing answers there
    ("POST", "/actions/dialogs/submit", {"url": "http://127.0.0.1:9/", "channel_id": "{private}", "team_id": "{team}",
     "submission": {}}, (403, 400, 403, 400, 400, 400, 403, 400)),
    ("POST", "/actions/dialogs/lookup", {"url": "http://127.0.0.1:9/", "channel_id": "{private}", "team_id": "{team}"},
     (403, 400, 403, 400, 400, 400, 403, 400)),
    # -- searches
    ("POST", "/teams/{team}/posts/search", {"terms": "x"}, IN_TEAM),
    ("POST", "/posts/search", {"terms": "x"}, ALL),
    ("POST", "/teams/{team}/files/search", {"terms": "x"}, IN_TEAM),
    ("POST", "/files/search", {"terms": "x"}, ALL),
    # -- files and uploads
    ("POST", "/files?channel_id={private}&filename=a", b"abc", (403, 201, 403, 201, 201, 201, 403, 201)),
    ("GET", "/files/{file}", None, IN_PRIVATE),
    *(("HEAD", "/files/{file}" + end, None, IN_PRIVATE) for end in ("", "/thumbnail", "/preview")),
    ("GET", "/files/{file}/info", None, IN_PRIVATE),
    ("GET", "/files/{file}/thumbnail", None, IN_PRIVATE),
    ("GET", "/files/{file}/preview", None, IN_PRIVATE),
    ("GET", "/files/{file}/link", None, IN_PRIVATE),
    ("POST", "/uploads", {"channel_id": "{private}", "filename": "a", "file_size": 3}, (403, 201, 403, 201, 201, 201,
     403, 201)),
    ("GET", "/uploads/{new_upload}", None, (403, 403, 403, 200, 403, 403, 403, 200)),
    ("POST", "/uploads/{new_upload}", b"ab", (403, 403, 403, 204, 403, 403, 403, 403)),
    ("GET", "/users/{member}/uploads", None, (403, 403, 403, 200, 403, 403, 403, 403)),
    # -- emojis
    ("GET", "/emoji", None, ALL),
    ("GET", "/emoji/{new_emoji}", None, ALL),
    ("GET", "/emoji/{new_emoji}/image", None, ALL),
    ("GET", "/emoji/name/nothing", None, (404, 404, 404, 404, 404, 404, 404, 404)),
    ("POST", "/emoji/search", {"term": "x"}, ALL),
    ("GET", "/emoji/autocomplete?name=x", None, ALL),
    ("POST", "/emoji", None, (400, 403, 400, 400, 400, 400, 400, 400)),
    ("DELETE", "/emoji/{new_emoji}", None, (403, 403, 403, 200, 403, 403, 403, 200)),
]

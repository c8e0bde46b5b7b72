"""The caller's faults and the dependency's, in the contract's shape. Ids are Mattermost's; texts are ours.

Raise where you know, catch at the process edge: the API's one error handler, a socket's boundary, a worker's loop.
"""

# What a person reads. An id that is missing here is shown by its id.
TEXTS = {
    "api.context.404.app_error": "Sorry, we could not find the page.",
    "api.context.invalid_url_param.app_error": "Invalid or missing {name} parameter in request URL.",
    "api.context.invalid_body_param.app_error": "Invalid or missing {name} in request body.",
    "api.context.permissions.app_error": "You do not have the appropriate permissions.",
    "api.context.request_body_too_large.app_error": "Request body too large.",
    "api.context.session_expired.app_error": "Invalid or expired session, please login again.",
    "api.context.server_busy.app_error": "Server is busy, try again later.",
    "api.context.token_provided.app_error": "Session is not OAuth but token was provided in the query string.",
    "api.context.not_implemented.app_error": "This server does not offer this operation yet.",
    "api.web_socket.connect.upgrade.app_error": "Failed to upgrade websocket connection.",
    "api.web_socket_router.bad_action.app_error": "Unknown WebSocket action.",
    "api.web_socket_router.bad_seq.app_error": "Invalid sequence for WebSocket message.",
    "api.web_socket_router.no_action.app_error": "No WebSocket action.",
    "api.web_socket_router.not_authenticated.app_error": "WebSocket connection is not authenticated.",
    "api.websocket_handler.invalid_param.app_error": "Invalid {name} parameter.",
    "api.websocket_handler.server_busy.app_error": "Server is busy, non-critical services are unavailable.",
}


class AppError(Exception):
    """The caller's fault. Source: Mattermost API v4, error body `{id, message, detailed_error, status_code}`.

    error_id: dotted id of the contract; status: HTTP status, also sent in the body (clients use that one);
    params fill the text and are safe to show.
    """

    def __init__(self, error_id: str, status: int, message: str = "", **params: object) -> None:
        text = message or TEXTS.get(error_id, "") or error_id
        super().__init__(error_id)
        self.id = error_id
        self.status = status
        self.message = text.format_map(params) if params else text


class Unavailable(Exception):
    """A service we depend on does not answer. Shown as 503 with Retry-After; sockets stay."""

    def __init__(self, service: str, retry_after_s: int = 2) -> None:
        super().__init__(service)
        self.service = service
        self.retry_after_s = retry_after_s


def why(error: BaseException) -> str:
    """Return what lies under it, through every layer that passed it on; never nothing."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, Unavailable | TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def body_param(name: str) -> AppError:
    """Return the 400 for a bad or missing member of a request body."""
    return AppError("api.context.invalid_body_param.app_error", 400, name=name)


def url_param(name: str) -> AppError:
    """Return the 400 for a malformed id or parameter in a URL."""
    return AppError("api.context.invalid_url_param.app_error", 400, name=name)


def forbidden() -> AppError:
    """Return the 403 for a missing permission."""
    return AppError("api.context.permissions.app_error", 403)


def logged_out() -> AppError:
    """Return the 401 that makes a client log in again."""
    return AppError("api.context.session_expired.app_error", 401)

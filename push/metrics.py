"""The figures of push, under the reference's names where it has them. Incremented where things happen.

Source: mattermost-push-proxy, its metrics; `service_delivered_total` is shown here, too, which it never registered.
"""

from prometheus_client import Counter, Gauge, Histogram

_BY_TYPE = ["platform", "type", "transport"]

NOTIFICATIONS = Counter("service_notifications", "Pushes taken on.", _BY_TYPE)
BY_APP_VERSION = Counter(
    "service_notifications_by_app_version", "Pushes by generation of the app.", ["platform", "app_version"]
)
SUCCESS = Counter("service_success", "Pushes that the provider took.", _BY_TYPE)
SUCCESS_WITH_ACK = Counter(
    "service_success_with_ack", "Of these, those that ask for an acknowledgement.", _BY_TYPE
)
DELIVERED = Counter("service_delivered", "Pushes that apps acknowledged.", _BY_TYPE)
FAILURE = Counter("service_failure", "Pushes that failed for good, removals included.", _BY_TYPE)
FAILURE_WITH_REASON = Counter(
    "service_failure_with_reason", "The same, by the provider's word.", [*_BY_TYPE, "reason"]
)
REMOVAL = Counter("service_removal", "Devices that are gone.", ["platform", "transport", "reason"])
BAD_REQUEST = Counter("service_bad_request", "Requests that were refused.")
FCM_SECONDS = Histogram("service_fcm_request_duration_seconds", "Each attempt at Google.")
APNS_SECONDS = Histogram("service_apns_request_duration_seconds", "Each attempt at Apple.")
REQUEST_SECONDS = Histogram("service_request_duration_seconds", "Handling of send_push and ack.")
NOTIFICATION_SECONDS = Histogram(
    "service_notification_duration_seconds", "From acceptance to the final verdict.", ["platform"]
)

ATTEMPT_SECONDS = Histogram(
    "tidewire_push_attempt_seconds",
    "Each attempt, by what came of it.",
    ["provider", "verdict"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
RETRIES = Counter("tidewire_push_retries", "Attempts that are to be repeated.", ["target", "reason"])
DEAD = Counter("tidewire_push_dead", "Pushes that went to the dead letters.", ["target", "reason"])
EXPIRED = Counter("tidewire_push_expired", "Silent pushes that got too old.", ["target"])
SUPERSEDED = Counter("tidewire_push_superseded", "Badges that a newer one replaced.", ["target"])
CLAIMED = Counter("tidewire_push_claimed", "Pushes taken over from a worker that died.", ["target"])
HELD_REMOVALS = Counter(
    "tidewire_push_held_removals", "Removals that looked like a wrong environment.", ["target"]
)
TOKENS = Counter("tidewire_push_tokens", "Tokens signed for Apple or fetched from Google.", ["platform"])
REFUSED = Counter(
    "tidewire_push_refused", "Pushes that were not accepted: the queue is full or away.", ["reason"]
)
TRIPS = Counter("tidewire_push_breaker_trips", "Times that a target was left alone.", ["target"])

WAITING = Gauge("tidewire_push_waiting", "Pushes in the queue, those under way included.", ["target"])
RETRYING = Gauge("tidewire_push_retrying", "Pushes that wait for another try.", ["target"])
OLDEST = Gauge("tidewire_push_oldest_seconds", "Age of the oldest push that waits.", ["target"])
DEAD_LETTERS = Gauge("tidewire_push_dead_letters", "Pushes in the dead letters.")
IN_FLIGHT = Gauge("tidewire_push_in_flight", "Attempts under way in this process.", ["target"])
OPEN = Gauge("tidewire_push_breaker_open", "1 while the target is left alone.", ["target"])

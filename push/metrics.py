"""The figures of push, under the reference's names where it has them. Incremented where things happen; what every push
counts is in `tally`.

Source: mattermost-push-proxy, its metrics; `service_delivered_total` is shown here, too, which it never registered.
"""

from prometheus_client import Counter, Gauge

_BY_TYPE = ["platform", "type", "transport"]

DELIVERED = Counter("service_delivered", "Pushes that apps acknowledged.", _BY_TYPE)
FAILURE = Counter("service_failure", "Pushes that failed for good, removals included.", _BY_TYPE)
FAILURE_WITH_REASON = Counter(
    "service_failure_with_reason", "The same, by the provider's word.", [*_BY_TYPE, "reason"]
)
REMOVAL = Counter("service_removal", "Devices that are gone.", ["platform", "transport", "reason"])
BAD_REQUEST = Counter("service_bad_request", "Requests that were refused.")
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
OPEN = Gauge("tidewire_push_breaker_open", "1 while the target is left alone.", ["target"])

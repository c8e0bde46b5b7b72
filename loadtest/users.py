"""Simulated people: `locust -f loadtest/users.py`, or `tidewire loadtest run users`.

Each Locust user is a person with a web app: he loads it, as loadtest/people/boot.py lists the calls, opens a WebSocket,
and then does one thing after the other (loadtest/people/behaviour.py). The WebSockets are the swarm's. Rows: each
route; `action NAME`, from when it was due to its last answer; `WS …`, with the time from a post's due moment to each
member of its channel who is connected. Users of the tokens file take their places in its order.

    tidewire loadtest seed --users 200 --posts 20000 --tokens FILE
    locust -f loadtest/users.py --headless --tokens FILE -u 200 -r 20 -t 60s --host http://localhost:8065 \
        --ws-host 127.0.0.1:8072
"""

from loadtest.people.course import Somebody, add_options, course
from loadtest.suite import Suite

__all__ = ["Somebody"]  # whom Locust lets live

Suite("users", add_options=add_options, prepare=course.prepare, figures=course.figures, tls=True)

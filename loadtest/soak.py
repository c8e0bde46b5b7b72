"""Moderate load for hours: what grows? `locust -f loadtest/soak.py`, or `tidewire loadtest run soak --time 8h`.

People as in users.py. Memory and descriptors of each process of a local server, and the lag of its event loops (of a
distant one what its /metrics tell), are compared between the second and the last third of the run; the first third is
for warming up. The figures are those of the process that grew most, which a note names. See loadtest/growth.py.
"""

from collections.abc import Mapping

from loadtest.growth import growth
from loadtest.people.course import Somebody, add_options, course
from loadtest.suite import Suite

__all__ = ["Somebody"]  # whom Locust lets live


def figures(suite: Suite) -> Mapping[str, float]:
    """Return what people's figures are, and how the server grew."""
    found, notes = growth(suite.timeline.moments)
    suite.notes = [note for note in suite.notes if note not in notes] + notes
    return {**course.figures(suite), **found}


Suite("soak", add_options=add_options, prepare=course.prepare, figures=figures, tls=True)

"""What grew while a load lasted: compares the second with the last third of a run's timeline. Pure."""

from collections.abc import Sequence
from statistics import median

from loadtest.timeline import Moment

# What is watched, by the beginnings of the timeline's names: the figure, and whether it is last by second third.
WATCHED = {
    "server_memory_mib ": ("memory_growth", True),
    "server_descriptors ": ("descriptors_growth", True),
    "lag_ms ": ("lag_ms", False),
}
LEAST = 3  # moments of a third; with fewer nothing is said


def growth(moments: Sequence[Moment]) -> tuple[dict[str, float], list[str]]:
    """Return the figures of those who grew most (ratios; of the lag: ms in the last third), and who they are.

    Nothing for what was not sampled in both thirds.
    """
    third = len(moments) // 3
    if third < LEAST:
        return {}, []
    early, late = _medians(moments[third : 2 * third]), _medians(moments[2 * third :])
    worst: dict[str, tuple[float, str]] = {}
    for name in sorted(early.keys() & late.keys()):
        for beginning, (figure, is_ratio) in WATCHED.items():
            if name.startswith(beginning) and (early[name] > 0 or not is_ratio):
                value = late[name] / early[name] if is_ratio else late[name]
                if figure not in worst or value > worst[figure][0]:
                    what = f"{name.removeprefix(beginning)}, {early[name]:,.6g} then {late[name]:,.6g}"
                    worst[figure] = value, what
    figures = {figure: round(value, 4) for figure, (value, _) in worst.items()}
    return figures, [f"most {figure}: {what}" for figure, (_, what) in worst.items()]


def _medians(moments: Sequence[Moment]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for moment in moments:
        for name, value in moment.figures.items():
            values.setdefault(name, []).append(value)
    return {name: median(found) for name, found in values.items()}

"""What grew between the second and the last third of a run."""

from loadtest.growth import growth
from loadtest.timeline import Moment


def moments(count: int, **figures: list[float]) -> list[Moment]:
    """Return moments; each figure has a value for each third."""
    names = {name.replace("__", " ").replace("0", "-"): values for name, values in figures.items()}
    return [
        Moment(at, {}, {name: values[min(2, at * 3 // count)] for name, values in names.items()}) for at in range(count)
    ]


def test_the_one_that_grew_most_is_named():
    run = moments(
        30, server_memory_mib__api01=[10, 100, 150], server_memory_mib__postgres=[10, 100, 120],
        server_descriptors__api01=[5, 50, 50], lag_ms__gateway01=[90, 1, 7], load_memory_mib__locust=[1, 1, 9],
    )  # fmt: skip
    found, notes = growth(run)
    assert found == {"memory_growth": 1.5, "descriptors_growth": 1.0, "lag_ms": 7}
    assert "most memory_growth: api-1, 100 then 150" in notes


def test_too_few_moments_and_what_began_late_say_nothing():
    assert growth(moments(8, server_memory_mib__x=[1, 1, 1])) == ({}, [])
    late = moments(30)
    for moment in late[25:]:
        moment.figures["server_memory_mib x"] = 9
    assert growth(late) == ({}, [])

"""The bytes of events."""

from tidewire.wire.events import channel_prefix, encode_prefix


def test_the_prefix_of_an_event_for_a_channel_is_that_of_any_event() -> None:
    for _ in range(2):  # made, then remembered
        for data in ({}, {"post": "\"x\"", "set_online": True}):
            made = channel_prefix("posted", data, "a" * 26)
            assert made == encode_prefix("posted", data, channel_id="a" * 26)

"""What simulated people do, how often, and how they choose. Reads a client's memory; everything else is the client's.

After one thing is begun the next is due THINK_S later on average, at least LEAST_S: those times are fixed without
waiting for answers, so that a slow server has no easier life. Weights are of actions, not of calls.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.history import EMOJIS
from loadtest.people.client import Client

# mattermost-load-test-ng, its sample configuration: 1 s at least and 20 s on average between two actions.
LEAST_S, THINK_S = 1.0, 20.0
AWAY_S = 60.0  # on average without an action; our guess: a coffee, shortened so that a run of minutes has some
OFFLINE_S = 2.0  # between the loss of a network and the next attempt; web clients wait 3 s at most for the first one
TYPING_S = 3.0  # on average between the first key and the message

NG = "mattermost-load-test-ng, simulcontroller's action list, as measured on a community's server"


@dataclass(frozen=True)
class Context:
    """What an action needs. back: waits until the socket is open again, False if it never is."""

    rng: random.Random
    texts: list[str]
    back: Callable[[], bool]


@dataclass(frozen=True)
class Action:
    """One thing to do. why: where the weight is from. needs: tells whether there is something to do it with; without it
    people look into another channel instead."""

    name: str
    weight: float
    why: str
    run: Callable[[Client, Context], None]
    needs: Callable[[Client], bool] = lambda client: True


def _switch(client: Client, context: Context) -> None:
    memory = client.memory
    others = [channel for channel in memory.channels if channel != memory.channel_id]
    client.switch(context.rng.choice(others or [memory.channel_id]))


def _text(context: Context) -> str:
    return context.rng.choice(context.texts)


def _write(client: Client, context: Context, root_id: str = "", file_ids: list[str] | None = None) -> None:
    client.type(root_id)
    client.wait(context.rng.expovariate(1 / TYPING_S))
    client.post(_text(context), root_id, file_ids)


def _reply(client: Client, context: Context) -> None:
    _write(client, context, context.rng.choice(client.memory.posts).root_id)


def _upload(client: Client, context: Context) -> None:
    if file_ids := client.upload():
        client.post(_text(context), file_ids=file_ids)


def _react(client: Client, context: Context) -> None:
    client.react(context.rng.choice(client.memory.posts).id, context.rng.choice(EMOJIS))


def _direct(client: Client, context: Context) -> None:
    client.open_direct(context.rng.choice(client.memory.people))


def _thread(client: Client, context: Context) -> None:
    client.open_thread(context.rng.choice(client.memory.posts).root_id)


def _search(client: Client, context: Context) -> None:
    client.search(context.rng.choice(_text(context).split()))


def _name(client: Client, context: Context) -> None:
    client.complete_name(context.rng.choice(client.memory.names)[: context.rng.randint(2, 6)])


def _edit(client: Client, context: Context) -> None:
    client.edit(client.memory.own[-1], _text(context))


def _idle(client: Client, context: Context) -> None:
    client.wait(context.rng.expovariate(1 / AWAY_S))
    client.check_unread()


def _reconnect(client: Client, context: Context) -> None:
    client.disconnect()
    client.wait(context.rng.expovariate(1 / OFFLINE_S))
    client.connect()
    if context.back():
        client.due(0)  # what the socket took is in its own row
        client.catch_up()


def _has_posts(client: Client) -> bool:
    return bool(client.memory.posts)


def _has_own(client: Client) -> bool:
    return bool(client.memory.own)


ACTIONS = (
    Action("switch channel", 6.52, NG, _switch),
    Action("scroll back", 1.99, NG, lambda client, context: client.scroll(), lambda client: bool(client.memory.oldest)),
    Action("check unread", 1.0, NG, lambda client, context: client.check_unread()),
    Action("open direct channel", 0.98, NG, _direct, lambda client: bool(client.memory.people)),
    Action("post", 0.15, NG + "; 85 % of its posts are replies", _write),
    Action("reply", 0.85, NG + "; as above", _reply, _has_posts),
    Action("list threads", 0.60, NG, lambda client, context: client.list_threads()),
    Action("read thread", 0.61, NG + ": view thread and mark it read", _thread, _has_posts),
    Action("react", 0.131, NG, _react, _has_posts),
    Action("reconnect", 0.144, NG, _reconnect),
    Action("edit", 0.040, NG, _edit, _has_own),
    Action("delete", 0.005, NG, lambda client, context: client.delete(client.memory.own[-1]), _has_own),
    Action("search", 0.022, NG, _search),
    Action("complete a name", 0.052, NG + ": search users and group channels", _name, lambda c: bool(c.memory.names)),
    Action("load the app", 0.001, NG + ": full reload", lambda client, context: client.boot()),
    Action("upload and post", 0.02, "our guess: one post in fifty has a file", _upload),
    Action("idle", 0.15, "our guess: away some three times an hour", _idle),
)


def choose(client: Client, rng: random.Random) -> Action:
    """Return what somebody does next."""
    action = rng.choices(ACTIONS, [one.weight for one in ACTIONS])[0]
    return action if action.needs(client) else ACTIONS[0]


def pause_s(rng: random.Random) -> float:
    """Return how long after one action the next is due."""
    return LEAST_S + rng.expovariate(1 / (THINK_S - LEAST_S))

"""Imports every resource module, which fills the route table. A new resource is named here."""

# Imported for their routes.
from api import (  # noqa: F401
    access_tokens,
    accounts,
    audits,
    bots,
    channels,
    config,
    console,
    first_screen,
    members,
    pictures,
    posts,
    preferences,
    reactions,
    roles,
    sessions,
    statuses,
    system,
    team_members,
    teams,
    terms,
    users,
)

"""Imports every resource module, which fills the route table. A new resource is named here."""

# Imported for their routes.
from api import (  # noqa: F401
    channels,
    members,
    pictures,
    posts,
    preferences,
    reactions,
    system,
    team_members,
    teams,
    users,
)

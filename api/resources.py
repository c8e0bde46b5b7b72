"""Imports every resource module, which fills the route table. A new resource is named here."""

# Imported for their routes.
from api import channels, members, posts, preferences, reactions, system, teams, users  # noqa: F401

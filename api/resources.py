"""Imports every resource module, which fills the route table. A new resource is named here."""

from api import posts, reactions  # noqa: F401  (imported for their routes)

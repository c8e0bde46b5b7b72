"""What the commands' flags have in common: how they look in --help, and types that several commands have."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def _shown(value: object) -> str | None:
    """Return how a default is shown; one that means "not given" is for the flag's text to explain."""
    return None if value in ("", 0, None) else str(value)


# No --empty-… beside lists, no "[default: ]".
PLAIN = Parameter(negative_iterable="", show_default=_shown)
Config = Annotated[Path | None, Parameter(help="TOML file with settings; see docs/settings.md.")]
Flag = Annotated[bool, Parameter(negative="")]

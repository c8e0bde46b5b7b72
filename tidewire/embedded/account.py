"""Under which account a database runs: PostgreSQL refuses root, and Valkey does not need it."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Account:
    """An unprivileged account."""

    name: str
    uid: int
    gid: int


def database_account() -> Account | None:
    """Return `postgres` where it exists, else `nobody`; None when we are not root and stay who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    return Account("nobody", 65534, 65534)


def own(path: Path, account: Account | None, mode: int) -> None:
    """Make a directory if need be, and give it to the account with this mode. Raises: OSError."""
    path.mkdir(exist_ok=True)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    path.chmod(mode)

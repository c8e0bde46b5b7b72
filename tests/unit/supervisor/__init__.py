"""Parts of the supervisor that need no process."""

"""Teams, channels and the sidebar: every operation by every kind of caller."""

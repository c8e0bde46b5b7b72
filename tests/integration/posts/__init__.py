"""Posts, threads and reactions: by HTTP where it can be, the group commit on its own."""

"""Pushes to phones and browsers: the queue's consumers, the providers, and the push proxy for Mattermost servers.

`tidewire.bus.push_queue` takes jobs in; here they go out. Knows nothing of posts and users.
"""

"""Sockets: door (handshake), room (the crowd), hub (who is it for?), relay (events from Redis), client actions.

Reads rows to log a socket in, never while it fans out; writes no rows. Meets the API only through rows and events.
"""

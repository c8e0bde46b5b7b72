"""Measurements of the server's hot paths. Each module prints its conditions; nothing here is imported by the server.

What is measured: the modules named in __main__.py, each with its own docstring.
What they share:
machine   what the machine is, whose CPU time is whose, and whether it was quiet
pairs     which turns count, and targets
sides     a server with its crowd, fed one burst after another
servers   PostgreSQL, Redis, the gateway, the C loop; peers/ has the others
programs  the C programs; events the events
"""

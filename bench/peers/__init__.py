"""Other servers, beside which the gateway is measured: nchan, a module of nginx, and uWebSockets by way of socketify.

Each is started by the bench as a process of its own, with its own configuration; nothing here is a dependency.
"""

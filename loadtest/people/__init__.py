"""Simulated people, in three parts: behaviour says what they do and how often, client speaks HTTP and WebSocket, memory
is what a client knows. boot: the calls of the web app's start; sockets: their WebSockets."""

"""Users, pictures, status and preferences, at a real API with a gateway beside it."""

"""What the processes of Tidewire share. Imports point down: actions, then bus and store, then wire and settings."""

__version__ = "0.1.0"

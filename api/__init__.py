"""HTTPS skin over tidewire.actions: decode, call one action, answer. One module per resource of the contract."""

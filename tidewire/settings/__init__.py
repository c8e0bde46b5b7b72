"""Every knob of every process, as one frozen typed tree. Nothing else in the project reads the environment.

tree    the sections and their fields
reading plain values to tree: types and limits
loading environment and TOML file to tree; the environment of child processes
peers   who else could reach the databases
docs    the tree as text: `tidewire settings print` and docs/settings.md
"""

from tidewire.settings.loading import child_environment, default_data_dir, export, load
from tidewire.settings.peers import exposed, name_of
from tidewire.settings.reading import SettingsError, read
from tidewire.settings.tree import Settings

__all__ = [
    "Settings",
    "SettingsError",
    "child_environment",
    "default_data_dir",
    "export",
    "exposed",
    "load",
    "name_of",
    "read",
]

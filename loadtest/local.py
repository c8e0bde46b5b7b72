"""What is known of a `tidewire serve` on this machine, from its data directory: gateways, metrics."""

from pathlib import Path
from urllib.parse import urlsplit


def is_local(host: str) -> bool:
    """Tell whether an address is this machine's."""
    name = urlsplit(host).hostname or ""
    return name == "localhost" or name.startswith("127.")


def local_gateways(data_dir: Path) -> tuple[str, ...]:
    """Return HOST:PORT of the gateways of the `serve` that runs on a data directory; none if it does not say."""
    return tuple(urlsplit(url).netloc for url in _urls(data_dir, "gateways"))


def local_metrics(data_dir: Path) -> tuple[str, ...]:
    """Return where the `serve` that runs on a data directory answers /metrics; none if it does not say."""
    return tuple(_urls(data_dir, "metrics"))


def _urls(data_dir: Path, name: str) -> list[str]:
    try:
        return (data_dir.expanduser() / f"{name}.url").read_text().split()
    except OSError:
        return []

"""`python -m tidewire` is the command `tidewire`."""

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["gateway"]:  # nothing to parse, and much to hold for nothing
        from tidewire.command import run_gateway

        try:
            run_gateway()
        except KeyboardInterrupt:
            sys.exit(130)
    else:
        from tidewire.cli import main as run_command

        run_command()


if __name__ == "__main__":
    main()

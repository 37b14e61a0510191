"""``python -m thinkctl.cli`` is ``thinkctl``."""

from thinkctl.cli import main

if __name__ == "__main__":  # an engine's own process imports this module again
    main()

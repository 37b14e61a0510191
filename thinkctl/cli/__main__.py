"""``python -m thinkctl.cli`` is ``thinkctl``."""

from thinkctl.cli import main

main()

"""The loop that thinks under a budget, the ledger that keeps the wall, and the front door to both."""

from thinkctl.controller.front import Controller
from thinkctl.controller.ledger import Grant, Ledger, Need
from thinkctl.controller.purse import Purse, budget, budgeted

__all__ = ["Controller", "Grant", "Ledger", "Need", "Purse", "budget", "budgeted"]

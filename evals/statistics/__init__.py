"""Statistics of evaluations. The question is the unit; every interval is 95 % unless it says otherwise."""

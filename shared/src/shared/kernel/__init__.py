"""Pure values: money, periods, ids, clocks, errors. Standard library only."""

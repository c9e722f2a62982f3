"""Plain values: quantities, durations, names, enumerations. Standard library only."""

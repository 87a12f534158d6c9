"""What the benchmarks share and the command line may change."""

SINGLE = "profile"
"""The candidate that is run where one is run alone."""

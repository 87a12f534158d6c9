"""``make bench-fleet``: the whole path of a run, from the trigger to promoted models, beside the usual loops.

What does not belong here: the accuracy of the models (``benchmarks.accuracy``, ``benchmarks.rivals``).
"""

"""Break the running platform in every way that operations people have seen, and ask what is left: ``make chaos``.

``arena.py``: the platform that is broken, on real servers, with SKUs that are poison. ``proxy.py``: what stands before
its S3 server and can misbehave. ``drill.py``: one fault, and what became of the run. ``faults/``: the faults.
"""

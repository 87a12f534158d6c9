"""The engine beside other tools, on the same series, origins and machine: accuracy and CPU seconds.

``python -m benchmarks.rivals`` (``make bench-rivals``) runs everything: ``samples`` reads the catalogues, ``exchange``
lays the series down as Parquet files, ``contenders`` forecasts them with the other tools (in an environment of its own,
``.venv-rivals``, so it imports nothing of ours), ``engine_side`` forecasts the same panels with the engine, ``scores``
judges all alike, and ``table`` and ``plot`` show it.
"""

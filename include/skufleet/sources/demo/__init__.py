"""A seeded simulator of a small grocery chain: what its systems would drop, dirt included.

Everything is a function of the specification (seed, anchor date, sizes) and the day. Random numbers are drawn per day
or per cycle of days, never from one running stream, so a later end date adds days and changes none.
What does not belong here: real data, and anything that reads the landing back.
"""

"""What an operator sees of a server: metrics, traces, log lines, the time of stages.

Every room may tell it what happened; it imports none of them, and telling never waits or raises.
"""

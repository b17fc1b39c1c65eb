"""What an operator sees of a server: metrics, traces, log lines, the time of stages.

Every room may report to it; it imports none of the rooms, and reporting never waits or raises.
"""

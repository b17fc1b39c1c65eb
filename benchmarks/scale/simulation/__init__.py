"""A discrete-event simulation of searches that wait for processors, engines and stores.

Processes are generators that yield the `Signal` they wait for; `Clock` has the time, in seconds.
The parts (processors that are shared out, servers with a queue, the arbiter of engines, callers who
retry and hedge) are checked against formulas of queueing theory where there are any (`theory`).
Comes from `constants` and goes to `checking`, tables and pictures; imports nothing of the server
but its fair queue, which decides the order of requests there too.
"""

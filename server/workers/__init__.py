"""Processes apart that compute this server's models: `twopass serve --role engine`.

`workers.py` finds them by the addresses of the settings and keeps each a member of the fleets of
`engines/fleet` for as long as it answers; `worker.py` does so for one of them, `connection.py` is
its wire, and `remote_engine.py` makes an engine of it. `devices.py` does for engines on devices of
this machine what `worker.py` does for processes. Here alone a fleet meets gRPC. Requests and
texts are not known here: what goes out is token ids, what comes in are logits and vectors.
"""

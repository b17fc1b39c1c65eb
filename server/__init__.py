"""Everything between the wire and the engines.

`app.py` joins the rooms and is the only file that knows every concrete class; `config.py` holds
the settings. A call comes in through `edge/`, is translated by a surface (`servicers/`), worked on
by `search/` or `ingest/`, and computed through `models/` and `scheduling/`; `telemetry/` is told.
What every room shares stands here: `request.py`, the object that a call is inside the server, and
`errors.py`, what it can fail with. Concrete engines are known to `models/loading.py` alone.
"""

"""Everything between the wire and the engines.

`app.py` is a server from start to drained, and `surfaces.py` joins the rooms into what answers its
calls: these two know every concrete class. `config.py` holds the settings. A call comes in through
`edge/`, is translated by a surface (`servicers/`), worked on by `search/` or `ingest/`, and
computed through `models/` and `scheduling/`; all report to `telemetry/`. What every room shares
stands here: `request.py`, the object that stands for a call, and `errors.py`, what a call can fail
with. Only `models/loading.py` knows concrete engines.
"""

"""`make replicas`: three servers behind one client, under load, while one after another fails.

`servers` runs them, each in a process of its own with the same documents, `load` calls without end
and keeps what came of each call, `report` counts it by phase and by server.
"""

"""What a server does for a pair beside computing it: the way from the wire to the engine and back.

A real server process runs over an engine that costs nothing (`costless.py`, `server.py`), under the
load of other processes (`callers.py`); its threads' processor time and who holds the interpreter
(`holding.py`) say which of both limits a machine of many cores meets. No setting of the server
reaches that engine. Nothing imports this room.
"""

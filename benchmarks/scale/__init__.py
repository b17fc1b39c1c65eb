"""What it takes to answer more searches, over more documents, than one machine can.

Two things stand on the same constants: `planning` counts machines and money for each design, and
`simulation` queues searches event by event to tell how long they wait. `constants.json` holds what
was measured and the command that measured it, `prices.json` what machines cost and who says so.
`checking` measures this machine anew, predicts one node under open-loop load, loads a real server,
and compares. Nothing imports this room; it may import the client, the engines and the server.
"""

"""`make isolation`: whether a plain search notices what else the server is asked to do.

A server process with one large collection answers dense searches at a steady rate, first alone,
then beside one neighbour after another: heavy filters, snapshots, uploads, exports, merges,
deletions, strangers with large messages. A neighbour sends from a process of its own.

`corpus` makes documents, `neighbours` and `strangers` make the calls beside, through `calls` and
`steps`; `probe` makes the searches that are measured, `serving` starts the server and `observing`
looks at its process, `report` holds the figures to the bounds and prints them, `__main__` puts all
together.
"""

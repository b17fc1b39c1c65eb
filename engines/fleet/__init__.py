"""Several engines of one model that are fed as one: on devices of their own, or on other machines.

`fleet.py` decides which member computes a batch and what becomes of it when the member does not;
`member.py` knows what a member holds and how fast it is; `figures.py` says what several engines are
as one, and which ones fit together. Members are engines of `engines.base`, so no wire and no device
is known here, and nothing waits: whoever holds a fleet calls `Fleet.tend` every so often.
"""

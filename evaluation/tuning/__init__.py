"""Settings that fit a collection: every way of searching it, by quality and milliseconds.

A running server is asked once for what it finds for each judged query (`reading.py`: both lists at
the greatest k, and the logits of every pair that some setting reads); `arithmetic.py` then tells
the order of every setting, hit by hit as the server would answer it. `choice.py` chooses on some
queries, moving away from the defaults only where more than chance speaks for it, and `trial.py`
tells on others what that is worth. Nothing here prints, or writes to a server.
"""

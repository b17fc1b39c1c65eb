"""What a reranker's scores mean on judged queries, and the threshold for a wanted precision.

Judged pairs come in, each with its logit, its score and whether it is relevant; a calibration is
fitted and a threshold chosen on one half of the queries, and both are judged on the other. Needs
neither a server nor files: `commands/calibrate.py` brings the pairs and stores what was chosen.
May not be imported by the server, the index and the engines.
"""

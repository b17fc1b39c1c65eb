"""The surface tei.v1: messages of text-embeddings-inference in, its operations' plain types out.

`server/tei/serving.py` opens a port for each `--tei-address`, with a servicer of each service for
the port's model. The modules are imported when such a port is opened: protobuf knows one tei.v1 in
a process, and a process without these ports may hold the one of another project.
"""

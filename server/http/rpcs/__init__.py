"""Our own rpcs over HTTP: Connect's unary protocol, REST, and the document that describes them.

`connect.py` serves each rpc under its own name, `rest.py` under the paths of `http_rules.json`;
`openapi.py` describes those paths, and `page.py` shows them. Messages come from and become JSON in
`protojson/`. Every call runs the method of the servicer that gRPC's calls run.
"""

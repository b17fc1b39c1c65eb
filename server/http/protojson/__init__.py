"""Messages from and to JSON, by the rules of proto JSON, fast and with faults told by their fields.

Tables made from the descriptors say how each field is read and written. Nothing here knows of HTTP
but what a malformed body is.
"""

"""Files of documents as they are: which there are, and what each holds as a sequence of records.

Comes in: paths as a user gives them (files, folders, `-`), and how to read them (`reading.py`).
Goes out: records, and by name and reason whatever was left out. A format is a module; none of them
raises for what is wrong in a file. What a record's fields mean is no concern of this room, nor is a
server: it may not import the client.
"""

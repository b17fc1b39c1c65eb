"""One reader a format: the records of a file, and what has to be left out between them.

A reader gets a `SourceFile` and yields records in their order. What is wrong with one record is a
`LeftOut` among them; what makes the rest of a file unreadable is raised and becomes one in
`SourceFile.records`. Libraries that not every run needs are imported when a file needs them.
"""

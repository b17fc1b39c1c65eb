"""What a person sees of a command: tables, sentences of failure, and what terminals can bear.

Everything that comes from documents, files or servers is made printable here before it reaches a
terminal.
"""

"""What `engines/model/tokenizer.py` stands on: how `tokenizer.json` is read, and what it proves.

A file here is a subject: `tokenizer_file` reads the file as the `settings` beside it change it,
`special_tokens` sees to it that no text spells one, `templates` reads off what stands around texts,
`boundaries` proves where tokens begin, and `prefixed` tokenises texts after a prefix by that.
Nothing here knows an engine.
"""

"""Documents between files and a collection: what `twopass index` and `twopass export` do.

Comes in: records of `sources`, a client. Goes out: documents on a server, or a file of them; and a
`Tally` of what was written and what was left out, by name. A record becomes a document in
`translating.py`, documents are written in `uploading.py`, `indexing.py` joins both; files are
written in `exporting.py`. No file is read here: `sources` does it.
"""

"""The page `/ui`: search with both passes side by side, collections, and reranking, for people.

The page is three files of ours below `assets/`, without a build and without anything from
elsewhere; it talks to REST of our own rpcs. `page.py` serves the files, and sends browsers that ask
for `/` here. Nothing of the server is imported but the seam of endpoints.
"""

"""The page `/ui`: search with both passes side by side, collections, and reranking, for people.

The page is files of ours below `assets/`, without a build and without anything from elsewhere: one
of HTML, one of CSS, and modules of JavaScript with one subject each, which `ui.js` starts. It talks
to REST of our own rpcs. `page.py` serves what the folder holds, and sends browsers that ask for `/`
here. Nothing of the server is imported but the seam of endpoints.
"""

"""What makes a release: versions, wheels, notes, and the proof that a stranger can install them.

Each file is a command, `python -m deploy.release.NAME` from the root of the repository, and a
target of the Makefile. They import nothing of the product: what they check is what users get.
"""

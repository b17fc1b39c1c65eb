"""What `twopass tune` gains on judged test collections: chosen on one half, told by the other.

`python -m twopass.benchmarks.tuning FOLDER...`; docs/tuning.md has the figures.
"""

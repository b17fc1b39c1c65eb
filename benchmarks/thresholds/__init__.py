"""What scores mean: calibration, thresholds and `answerable` on judged queries, and across engines.

`python -m twopass.benchmarks.thresholds FOLDER...` takes test collections in BEIR's form. It prints
the figures of docs/thresholds.md.
"""

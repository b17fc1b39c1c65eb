"""`make families`: does every engine compute what transformers computes, in every form of a model?

For each family of models small ones of random weights are written by transformers and
sentence-transformers in the forms that people publish: heads, poolings, modules, types of numbers,
shards, spellings of configurations. Each folder is opened as a server opens it and computed on
every engine, texts of one word to more than a sequence takes in one batch, and compared with what
transformers, or sentence-transformers, computes of each text alone.

Prints a line for each form: the largest difference on each engine; in float32 of any number, else
of an embedding 1 - cosine, and of logits the root mean square of differences over their deviation.
Exits with 1 if a difference is too large, a model is refused that should be read, or one is read
that should be refused.
"""

import argparse
import logging
import sys
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import torch
import transformers

from . import catalogue
from .trial import COLUMNS, Column, try_form


def main() -> int:
    """Tries every form; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make families", formatter_class=argparse.RawTextHelpFormatter, description=__doc__
    )
    parser.add_argument("--family", default="", help="only families whose name contains this")
    parser.add_argument("--form", default="", help="only forms whose name contains this")
    parser.add_argument("--engine", default="", help="only engines whose name contains this")
    options = parser.parse_args()
    _silence()
    columns = [c for c in COLUMNS if options.engine in str(c)]
    failures = []
    print(_head(columns), flush=True)
    for form in catalogue.forms():
        if options.family not in form.family or options.form not in form.name:
            continue
        with tempfile.TemporaryDirectory(prefix="twopass-families-") as folder:
            cells = list(try_form(form, Path(folder), columns))
        texts = (f"{cell.text + ('!' if cell.failure else ''):>17}" for cell in cells)
        print(f"{form.family:<22}{form.name:<52}" + "".join(texts), flush=True)
        engines = defaultdict(list)
        for column, cell in zip(columns, cells, strict=True):
            if cell.failure:
                engines[cell.failure].append(str(column))
        for failure, where in engines.items():
            failures.append(f"{form.family}, {form.name}, {', '.join(where)}: {failure}")
    print(*failures, sep="\n")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


def _silence() -> None:
    """Leaves the terminal to the table."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.disable(logging.WARNING)


def _head(columns: list[Column]) -> str:
    return f"{'family':<22}{'form':<52}" + "".join(f"{column!s:>17}" for column in columns)


if __name__ == "__main__":
    sys.exit(main())

"""Runs the files named on standard input in one namespace, one after another.

`await` is allowed outside functions.
"""

import ast
import asyncio
import os
import sys
import traceback
from pathlib import Path


def run(file: Path, namespace: dict[str, object], runner: asyncio.Runner) -> str:
    """Runs one file with its output beside it as `.out`. Returns "done", or the exception."""
    with file.with_name(f"{file.name}.out").open("wb") as out:  # for programs that it starts, too
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    try:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(file.read_text("utf-8"), file, "exec", flags, dont_inherit=True)
        coroutine = eval(code, namespace)
        if coroutine is not None:
            runner.run(coroutine)
    except BaseException as error:  # a block may raise SystemExit too
        traceback.print_exc()
        return repr(error).replace("\n", " ")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return "done"


def main() -> None:
    """Answers each line of standard input with one line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            print(run(Path(line.rstrip("\n")), namespace, runner), file=answers, flush=True)


if __name__ == "__main__":
    main()

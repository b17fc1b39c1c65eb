"""Makes an environment that also has every package of the Python it is made by.

python3 benchmarks/gpu/environment.py FOLDER

Where that Python is itself a virtual environment, `--system-site-packages` leads past it to the one
that it was made by. So the new environment is told of the outer one's packages by a `.pth` file.
Run by whatever Python a machine has, with nothing installed: the standard library alone.
"""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


def make_environment(folder: Path) -> Path:
    """Makes the environment, and returns its interpreter."""
    venv.create(folder, system_site_packages=True, with_pip=True)
    python = folder / "bin" / "python"
    if sys.prefix != sys.base_prefix:
        told = subprocess.run(  # noqa: S603  # the interpreter just made
            (python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"),
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        outer = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
        # Not the bare path: `.pth` files of the outer environment are to be followed too.
        lines = [f"import site; site.addsitedir({path!r})" for path in outer]
        Path(told.stdout.strip(), "outer-environment.pth").write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )
    return python


if __name__ == "__main__":
    print(make_environment(Path(sys.argv[1])))

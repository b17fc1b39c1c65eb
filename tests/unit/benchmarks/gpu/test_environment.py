"""An environment made by a Python that is itself a virtual environment has that one's packages."""

import subprocess
import sys
import venv
from pathlib import Path

_SCRIPT = Path(__file__).parents[4] / "benchmarks" / "gpu" / "environment.py"


def said(python, *arguments):
    answer = subprocess.run(
        (python, *arguments), check=True, capture_output=True, encoding="utf-8", env={}
    )
    return answer.stdout.strip()


def test_packages_of_the_outer_environment_are_there_and_its_path_files_are_followed(tmp_path):
    outer = tmp_path / "outer"
    venv.create(outer, with_pip=False)
    packages = Path(
        said(outer / "bin/python", "-c", "import sysconfig as s; print(s.get_path('purelib'))")
    )
    (packages / "of_the_host.py").write_text("name = 'host'\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "further.py").write_text("name = 'further'\n")
    (packages / "further.pth").write_text(f"{elsewhere}\n")
    inner = said(outer / "bin/python", _SCRIPT, tmp_path / "inner")
    seen = said(inner, "-c", "import of_the_host, further; print(of_the_host.name, further.name)")
    assert seen == "host further"
    assert said(inner, "-m", "pip", "--version").startswith("pip ")
    assert said(inner, "-c", "import sys; print(sys.prefix)") == str(tmp_path / "inner")


def test_a_python_of_the_system_needs_no_such_file(tmp_path):
    system = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    said(system, _SCRIPT, tmp_path / "inner")
    assert not list((tmp_path / "inner").rglob("outer-environment.pth"))

"""What a gate says, as the XML that pipelines read test results from."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from twopass.evaluation.gates import Check, Verdict


def write_junit(file: Path, verdict: Verdict) -> None:
    """Writes a suite for each test collection, with a case for each measure of each way.

    The form is that of JUnit, as Jenkins, GitLab and the actions of GitHub read it. It says nothing
    of how long anything took.

    Raises:
        OSError: The file can't be written.
    """
    root = ElementTree.Element("testsuites", {"name": "twopass eval"} | _counts(verdict.checks))
    for dataset in dict.fromkeys(check.dataset for check in verdict.checks):
        checks = tuple(check for check in verdict.checks if check.dataset == dataset)
        suite = ElementTree.SubElement(
            root, "testsuite", {"name": _printable(dataset)} | _counts(checks)
        )
        for check in checks:
            _add_case(suite, check)
    tree = ElementTree.ElementTree(root)
    ElementTree.indent(tree)
    with file.open("wb") as out:
        tree.write(out, encoding="utf-8", xml_declaration=True)


def _add_case(suite: ElementTree.Element, check: Check) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_printable(f"{check.dataset}.{check.way}"),
        name=check.measure,
        time="0",
    )
    if check.problems:
        text = _printable("; ".join(check.problems))
        failure = ElementTree.SubElement(case, "failure", message=text, type="quality")
        failure.text = text
    said = [f"{check.measure}: {check.value:.4f}"]
    if check.limit is not None:
        said.append(f"limit: {check.limit:g}")
    if (change := check.change) is not None:
        said.append(f"baseline: {change.before:.4f}")
        said.append(f"on the queries of both: {change.after:.4f} on {change.num_queries}")
        said.append(f"p: {change.p_value:.4f}")
    ElementTree.SubElement(case, "system-out").text = "\n".join(said)


def _counts(checks: tuple[Check, ...]) -> dict[str, str]:
    return {
        "tests": str(len(checks)),
        "failures": str(sum(not check.has_passed for check in checks)),
        "errors": "0",
        "skipped": "0",
        "time": "0",
    }


def _printable(text: str) -> str:
    """Text without characters that XML can't hold."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)

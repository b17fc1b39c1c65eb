"""Wheels are named by the oldest glibc that they run with."""

import pytest

from deploy.release.wheels import runs_with

AUDIT = 'x-cp311-cp311-linux_x86_64.whl is consistent with the following platform tag: "{}".'


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("manylinux_2_17_x86_64", True),
        ("manylinux_2_27_x86_64", True),
        ("manylinux_2_28_x86_64", True),
        ("manylinux_2_29_x86_64", False),
        ("linux_x86_64", False),
        ("manylinux_2_17_aarch64", False),
    ],
)
def test_a_wheel_that_needs_a_newer_glibc_or_another_processor_is_refused(tag, expected):
    assert runs_with("2.28", "x86_64", AUDIT.format(tag)) is expected

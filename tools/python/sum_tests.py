"""Prints "PASSED FAILED", the number of test cases in a JUnit report of ctest.

One entry of the report is one program. GoogleTest and unittest say in its output how many cases it ran; an entry that says
nothing, and one that crashed, count as one.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree


def count_entry(succeeded, output):
    """(passed, failed) of one program."""
    passed = sum(int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) tests?\.", output, re.MULTILINE))
    failed = sum(int(n) for n in re.findall(r"^\[  FAILED  \] (\d+) tests?, listed below", output, re.MULTILINE))
    for ran, verdict in re.findall(r"^Ran (\d+) tests? in [^\n]*\n\n(OK|FAILED[^\n]*)", output, re.MULTILINE):
        broken = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", verdict))
        passed, failed = passed + int(ran) - broken, failed + broken
    if succeeded:
        return max(passed, 1), failed
    return passed, max(failed, 1)


def main(path):
    passed = failed = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        entry = count_entry(case.get("status") == "run", case.findtext("system-out") or "")
        passed, failed = passed + entry[0], failed + entry[1]
    print(passed, failed)


if __name__ == "__main__":
    main(sys.argv[1])

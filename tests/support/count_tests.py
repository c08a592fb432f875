#!/usr/bin/python3
"""Adds up the JUnit reports under a folder; prints 'N passed, N failed, N skipped' as its last line."""

import pathlib
import sys
import xml.etree.ElementTree


def main():
    passed = failed = skipped = 0
    for report in sorted(pathlib.Path(sys.argv[1]).rglob("*.xml")):
        for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif case.find("skipped") is not None or case.get("status") == "notrun":
                skipped += 1
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main()

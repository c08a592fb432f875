#!/usr/bin/python3
"""Compares docs/client_contract.md with the tests: no line is missing, each has a test that carries its id, and no test carries another id."""

import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What was observed of the client, by section: a line is not dropped from the document unseen.
OBSERVED = {0: 8, 1: 9, 2: 7, 3: 10, 4: 23}
LINE = re.compile(r"^\| (CC-\d+\.\d+) \|", re.M)


def ids_of_tests(source):
    """(id, line number) of every contract mark in a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "contract":
            for argument in node.args:
                yield getattr(argument, "value", None), node.lineno


def mistakes(document, tests, observed):
    """`tests` maps file names to their texts, `observed` sections to their numbers of lines."""
    lines = LINE.findall(document)
    wanted = [f"CC-{section}.{number}" for section, count in observed.items() for number in range(1, count + 1)]
    found = [f"{line}: the document has no such line" for line in wanted if line not in lines]
    found += [f"{line}: not among what was observed" for line in lines if line not in wanted]
    found += [f"{line}: stands twice" for line in sorted(set(lines)) if lines.count(line) > 1]
    proved = set()
    for name, source in tests.items():
        for line, number in ids_of_tests(source):
            if line in lines:
                proved.add(line)
            else:
                found.append(f"{name}:{number}: there is no line {line}")
    return found + [f"{line}: no test carries this id" for line in lines if line not in proved]


def main():
    tests = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "tests/e2e").rglob("*_test.py"))}
    document = (ROOT / "docs/client_contract.md").read_text()
    if not LINE.search(document):
        sys.exit("docs/client_contract.md has no lines with ids")
    bad = mistakes(document, tests, OBSERVED)
    for text in bad:
        print(text)
    if bad:
        sys.exit(f"{len(bad)} mistake(s) between docs/client_contract.md and the tests")


if __name__ == "__main__":
    main()

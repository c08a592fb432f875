#!/usr/bin/python3
"""Checks every #include under src/ against include_directions.txt; prints each violation and fails."""

import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def read_table(path):
    modules, headers = {}, []
    for line in path.read_text().splitlines():
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        kind, name, rest = re.fullmatch(r"(module|header) (\S+):(.*)", line).groups()
        if kind == "module":
            modules[name] = set(rest.split()) | {name}
        else:
            headers.append((name, rest.split()))
    return modules, headers


def violations(source, modules, headers):
    module = source.parts[0]
    if module not in modules:
        yield 0, f"module {module} is not in the table"
        return
    for number, line in enumerate((ROOT / "src" / source).read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        quote, name = found.groups()
        if quote == '"':
            target = name.split("/", 1)[0]
            if target not in modules[module]:
                yield number, f"{module} may not include {name}"
            elif not (ROOT / "src" / name).exists():
                yield number, f"{name} is not a path under src/"
            continue
        # The longest matching rule decides, so json_fwd.hpp may be freer than json.hpp.
        rules = [(prefix, files) for prefix, files in headers if name.startswith(prefix)]
        if rules:
            prefix, files = max(rules, key=lambda rule: len(rule[0]))
            if not any(fnmatch.fnmatch(str(source), pattern) for pattern in files):
                yield number, f"<{name}> belongs only in {' '.join(files)}"


def main():
    modules, headers = read_table(pathlib.Path(__file__).with_name("include_directions.txt"))
    bad = 0
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".cc", ".h"):
            continue
        source = path.relative_to(ROOT / "src")
        for number, text in violations(source, modules, headers):
            print(f"src/{source}:{number}: {text}")
            bad += 1
    if bad:
        sys.exit(f"{bad} include(s) against tests/support/include_directions.txt")


if __name__ == "__main__":
    main()

"""The check of the contract notices what it is there for."""

from support.check_contract import mistakes

TWO = {0: 2}
LINES = "| CC-0.1 | a | b |\n| CC-0.2 | c | d |\n"
MARK = '@pytest.mark.contract({})\ndef test_a(): pass\n'


def test_every_line_with_a_test_is_right():
    assert mistakes(LINES, {"a_test.py": MARK.format('"CC-0.1", "CC-0.2"')}, TWO) == []


def test_line_without_a_test_is_a_mistake():
    assert mistakes(LINES, {"a_test.py": MARK.format('"CC-0.1"')}, TWO) == ["CC-0.2: no test carries this id"]


def test_test_with_an_unknown_id_is_a_mistake():
    found = mistakes(LINES, {"a_test.py": MARK.format('"CC-0.1", "CC-0.2", "CC-9.9"')}, TWO)
    assert found == ["a_test.py:1: there is no line CC-9.9"]


def test_line_that_stands_twice_is_a_mistake():
    assert mistakes(LINES + "| CC-0.1 | e | f |\n", {"a": MARK.format('"CC-0.1", "CC-0.2"')}, TWO) == ["CC-0.1: stands twice"]


def test_line_that_was_dropped_is_a_mistake():
    found = mistakes(LINES, {"a_test.py": MARK.format('"CC-0.1", "CC-0.2"')}, {0: 3})
    assert found == ["CC-0.3: the document has no such line"]


def test_line_that_nobody_observed_is_a_mistake():
    found = mistakes(LINES, {"a_test.py": MARK.format('"CC-0.1", "CC-0.2"')}, {0: 1})
    assert found == ["CC-0.2: not among what was observed"]

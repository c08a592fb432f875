"""The check of the contract notices what it is there for."""

from support.check_contract import mistakes

LINES = "| CC-0.1 | a | b |\n| CC-0.2 | c | d |\n"
MARK = '@pytest.mark.contract({})\ndef test_a(): pass\n'


def test_every_line_with_a_test_is_right():
    assert mistakes(LINES, {"a_test.py": MARK.format('"CC-0.1", "CC-0.2"')}) == []


def test_line_without_a_test_is_a_mistake():
    assert mistakes(LINES, {"a_test.py": MARK.format('"CC-0.1"')}) == ["CC-0.2: no test carries this id"]


def test_test_with_an_unknown_id_is_a_mistake():
    found = mistakes(LINES, {"a_test.py": MARK.format('"CC-0.1", "CC-0.2", "CC-9.9"')})
    assert found == ["a_test.py:1: there is no line CC-9.9"]


def test_line_that_stands_twice_is_a_mistake():
    assert mistakes(LINES + "| CC-0.1 | e | f |\n", {"a": MARK.format('"CC-0.1", "CC-0.2"')}) == ["CC-0.1: stands twice"]

"""A node in front of an origin that answers as a test says, for the rules of caching."""

import pytest
from support.larder import Node, origin_table
from support.scripted_origin import ScriptedOrigin


@pytest.fixture(scope="module")
def script():
    """What the origin answers: by target, a list whose last item repeats, of (status, fields, body) or functions."""
    return {}


@pytest.fixture(scope="module")
def rules_origin(script):
    def answer(seen):
        answers = script[seen.target]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return found(seen) if callable(found) else found

    origin = ScriptedOrigin(answer).start()
    yield origin
    origin.stop()


@pytest.fixture(scope="module")
def rules_node(folder, rules_origin):
    node = Node(folder / "rules", origins=[
        origin_table(rules_origin, hosts=["packages.test"], methods=["*"], vary_ignore=["X-Ignored"])]).start()
    yield node
    node.stop()

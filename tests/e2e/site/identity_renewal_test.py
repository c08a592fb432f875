"""What a node is towards its site lives a year; both go on for longer than that with nobody there."""

from support.faketime import FakeTime
from support.larder import Node, Site
from support.wait import wait_until


def test_an_identity_is_renewed_before_it_ends(tmp_path):
    clock = FakeTime(tmp_path)
    site = Site(tmp_path / "site", environment=clock.environment)
    node = Node(tmp_path / "node", environment=clock.environment)
    site.start()
    node.start()
    try:
        site.join(node)
        identity = node.state / "site" / "identity.pem"
        key = (node.state / "site" / "identity.key").read_text()
        first = wait_until(identity.read_text)

        def years_go_by(days):
            node.stop()
            site.stop()
            clock.advance(days)
            site.start()
            node.start()

        years_go_by(225)  # the earliest draw is at 225.08 days
        wait_until(lambda: node.metric("larder_site_connected") == 1)
        assert identity.read_text() == first, "not yet"
        years_go_by(20)
        wait_until(lambda: identity.read_text() != first)
        assert (node.state / "site" / "identity.key").read_text() == key
        years_go_by(140)  # the first one has ended
        wait_until(lambda: node.metric("larder_site_connected") == 1)
        wait_until(lambda: site.nodes().get(node.name))
    finally:
        node.stop()
        site.stop()

"""Origins as they are on the Internet: names that a resolver answers, ports 80 and 443, public addresses.

`net` has two hosts: `left` runs nodes, `right` has the origins, at these addresses that only exist in there.
"""

import pytest

from support import network
from support.network import PUBLIC, PUBLIC2, PUBLIC6


@pytest.fixture(scope="module")
def net():
    network.require_root()
    link = network.Link("nodes", "origins")
    link.left.add_address("fd00:213::1/64", link.left_device)
    link.right.add_address("fd00:213::2/64", link.right_device)
    for address in (PUBLIC, PUBLIC2):
        link.right.add_address(f"{address}/32")
        link.left.add_route(f"{address}/32", link.right_address)
    link.right.add_address(f"{PUBLIC6}/128")
    link.left.add_route("2606:4700::/32", "fd00:213::2")
    link.left.set_hosts({})
    link.right.set_hosts({})
    yield link
    link.remove()

"""What a scripted origin (misbehaving_origin.py) serves while it behaves."""

import os


class Thing:
    """An object that an origin serves well: 200, or 206 for a range under If-Range."""

    def __init__(self, size, etag='"one"', **fields):
        self.data, self.etag = os.urandom(size), etag
        self.fields = {"cache_control": "max-age=3600", **fields}

    def __call__(self, request, connection):
        self.answer(request, connection)

    def begin(self, request, connection):
        """Sends the head; returns the bytes that belong behind it."""
        wanted, condition = request.range, request.field("If-Range")
        if wanted is None or (condition is not None and condition != self.etag):
            connection.head(200, etag=self.etag, content_length=len(self.data), accept_ranges="bytes", **self.fields)
            return self.data
        first, last = wanted[0], min(len(self.data) - 1, wanted[1] if wanted[1] is not None else len(self.data))
        connection.head(206, etag=self.etag, content_length=last - first + 1,
                        content_range=f"bytes {first}-{last}/{len(self.data)}", **self.fields)
        return self.data[first:last + 1]

    def answer(self, request, connection):
        connection.send(self.begin(request, connection))

"""Requests as bytes: what no client sends, and what one sends when something breaks."""

from __future__ import annotations

from typing import NamedTuple

HOST = b"host: 127.0.0.1\r\n"
JSON = b'{"features": [5.1, 3.5, 1.4, 0.2]}'
LENGTH = b"content-length: %d\r\n" % len(JSON)
POST = b"POST /predict HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"transfer-encoding: chunked\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST
GOOD = POST + LENGTH + b"\r\n" + JSON


class Raw(NamedTuple):
    """Bytes, what the client does then, and whether the server may take them for a request."""

    sent: bytes
    then: str = "wait"
    is_refused: bool = True


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


LENGTHS = {
    "two lengths that differ": POST + LENGTH + b"content-length: 3\r\n\r\n" + JSON,
    "two lengths in one header": POST + b"content-length: 34, 3\r\n\r\n" + JSON,
    "length and chunks": CHUNKED + LENGTH + b"\r\n" + _chunk(JSON) + b"0\r\n\r\n",
    "a negative length": POST + b"content-length: -1\r\n\r\n" + JSON,
    "a length with a sign": POST + b"content-length: +34\r\n\r\n" + JSON,
    "a length in hex": POST + b"content-length: 0x22\r\n\r\n" + JSON,
    "a length with a letter": POST + b"content-length: 34a\r\n\r\n" + JSON,
    "a length with a space": POST + b"content-length: 3 4\r\n\r\n" + JSON,
    "a length beyond all bits": POST + b"content-length: 99999999999999999999999\r\n\r\n",
    "an empty length": POST + b"content-length: \r\n\r\n" + JSON,
    "a length in fullwidth digits": POST
    + b"content-length: \xef\xbc\x93\xef\xbc\x94\r\n\r\n"
    + JSON,
}

CHUNKS = {
    "a chunk of no size": CHUNKED + b"\r\n;\r\n" + JSON + b"\r\n0\r\n\r\n",
    "a chunk size that is no number": CHUNKED + b"\r\nzz\r\n" + JSON + b"\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"\r\n-1\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"\r\n0x22\r\n" + JSON + b"\r\n0\r\n\r\n",
    "a chunk size beyond all bits": CHUNKED + b"\r\n" + b"f" * 40 + b"\r\n" + JSON,
    "a chunk longer than its size": CHUNKED + b"\r\n3\r\n" + JSON + b"\r\n0\r\n\r\n",
    "a chunk without an end": CHUNKED + b"\r\n22\r\n" + JSON + b"0\r\n\r\n",
    "an unknown coding": POST + b"transfer-encoding: xchunked\r\n\r\n" + _chunk(JSON),
    "a coding behind chunked": POST + b"transfer-encoding: chunked, gzip\r\n\r\n" + _chunk(JSON),
    "identity and chunked": POST
    + b"transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "an empty coding": POST + b"transfer-encoding:\r\n\r\n" + _chunk(JSON) + b"0\r\n\r\n",
    "a coding behind a tab": POST + b"transfer-encoding:\x0bchunked\r\n\r\n" + _chunk(JSON),
}

HEADS = {
    "an obsolete fold": GET + b"x-one: a\r\n b\r\n\r\n",
    "a fold before any header": b"GET /health HTTP/1.1\r\n host: 127.0.0.1\r\n\r\n",
    "a space before the colon": b"GET /health HTTP/1.1\r\nhost : 127.0.0.1\r\n\r\n",
    "a header without a name": GET + b": value\r\n\r\n",
    "a header without a colon": GET + b"header\r\n\r\n",
    "a NUL in a header": GET + b"x-one: a\x00b\r\n\r\n",
    "a NUL in a name": GET + b"x\x00one: a\r\n\r\n",
    "a bare CR in a header": GET + b"x-one: a\rb\r\n\r\n",
    "a name with a bracket": GET + b"x(one): a\r\n\r\n",
    "a huge header": GET + b"x-one: " + b"a" * 200_000 + b"\r\n\r\n",
    "a header that never ends": GET + b"x-one: " + b"a" * 2_000_000,
    "very many headers": GET + b"".join(b"x-%d: a\r\n" % i for i in range(20_000)) + b"\r\n",
    "a huge address": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "two hosts": GET + b"host: evil.example\r\n\r\n",
    "a host with a path": b"GET /health HTTP/1.1\r\nhost: 127.0.0.1/x\r\n\r\n",
    "a host with a user": b"GET /health HTTP/1.1\r\nhost: a@127.0.0.1\r\n\r\n",
}

FIRST_LINES = {
    "an empty line of request": b" \r\n" + HOST + b"\r\n",
    "a version of letters": b"GET /health HTTP/one\r\n" + HOST + b"\r\n",
    "version 9.9": b"GET /health HTTP/9.9\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method of letters that is none": b"FETCH /health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in small letters": b"get /health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method with a NUL": b"G\x00T /health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the address": b"GET /hea lth HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control character in the address": b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no slash in the address": b"GET health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path of bytes that are no text": b"GET /%ff%fe HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path with a NUL": b"GET /health%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path that climbs": b"GET /docs/assets/../../health/../x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path that climbs in hiding": b"GET /docs/assets/%2e%2e%2fx HTTP/1.1\r\n" + HOST + b"\r\n",
    "the address of another server": b"GET http://evil.example/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a greeting of TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "bytes of no protocol": bytes(range(256)) * 4,
    "lines and lines": b"\r\n" * 1000 + b"x\r\n\r\n",
}

BODIES = {
    "a body that stops": POST + LENGTH + b"\r\n" + JSON[:9],
    "a large body that stops": POST + b"content-length: 900000\r\n\r\n" + JSON,
    "chunks that stop": CHUNKED + b"\r\n" + _chunk(JSON),
    "a chunk that stops": CHUNKED + b"\r\n22\r\n" + JSON[:9],
    "headers that stop": POST + b"content-le",
    "a first line that stops": b"POST /pre",
    "a body of 100 MB that is announced": POST + b"content-length: 100000000\r\n\r\n" + JSON,
    "a compressed body": POST + b"content-encoding: gzip\r\n" + LENGTH + b"\r\n" + bytes(len(JSON)),
    "bytes after the body": POST + LENGTH + b"\r\n" + JSON[:-1] + b"\x00" * 20,
    "an upgrade with a body": POST
    + b"connection: upgrade\r\nupgrade: h2c\r\n"
    + LENGTH
    + b"\r\n"
    + JSON,
    "a promise of a body that is too large": POST
    + b"content-length: 100000000\r\nexpect: 100-continue\r\n\r\n",
}

EARLY_ENDS = {
    "closed in the first line": Raw(b"POST /pr", "close"),
    "closed in the headers": Raw(POST + b"content-", "close"),
    "closed in the body": Raw(POST + LENGTH + b"\r\n" + JSON[:9], "close"),
    "closed in a chunk": Raw(CHUNKED + b"\r\n22\r\n" + JSON[:9], "close"),
    "closed after the request": Raw(GOOD, "close"),
    "closed before a byte": Raw(b"", "close"),
    "half closed in the body": Raw(POST + LENGTH + b"\r\n" + JSON[:9], "half close"),
    "reset in the body": Raw(POST + LENGTH + b"\r\n" + JSON[:9], "reset"),
}

# Strange, and still requests: they may be answered, but with no 5xx and in no time at all.
STRANGE = {
    "lines that end in LF": b"GET /health HTTP/1.1\nhost: 127.0.0.1\n\n",
    "empty lines first": b"\r\n\r\n" + GET + b"\r\n",
    "version 1.0 without a host": b"GET /health HTTP/1.0\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "no version": b"GET /health\r\n" + HOST + b"\r\n",
    "version 0.9": b"GET /health HTTP/0.9\r\n" + HOST + b"\r\n",
    "another protocol": b"GET /health RTSP/1.0\r\n" + HOST + b"\r\n",
    "the same length twice": POST + LENGTH + LENGTH + b"\r\n" + JSON,
    "chunks with extensions": CHUNKED
    + b"\r\n22;"
    + b"a=b;" * 50
    + b"\r\n"
    + JSON
    + b"\r\n0\r\n\r\n",
    "a trailer": CHUNKED + b"\r\n" + _chunk(JSON) + b"0\r\nx-late: yes\r\n\r\n",
    "very many trailers": CHUNKED
    + b"\r\n"
    + _chunk(JSON)
    + b"0\r\n"
    + b"a: b\r\n" * 5000
    + b"\r\n",
    "a body on GET": GET + LENGTH + b"\r\n" + JSON,
    "a body of no bytes": POST + b"content-length: 0\r\n\r\n",
    "no length at all": POST + b"\r\n",
    "an unknown expectation": GET + b"expect: miracles\r\n\r\n",
    "an upgrade to a websocket": GET
    + b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    + b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "requests sent at once": GOOD * 20,
    "a good request, then none": GOOD + b"\x00\x01\x02",
    "a query that is none": b"GET /health?%zz&&==%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes above 127 in a header": GET + b"x-one: \xff\xfe\r\n\r\n",
    "ten thousand cookies": GET + b"cookie: " + b'nbdeploy_a=\\\\"; ' * 3000 + b"\r\n\r\n",
}

# The slower parser, for machines without httptools, reads these as RFC 9112 allows it to.
H11_READS = {"length and chunks", "an obsolete fold", "version 9.9", "an upgrade with a body"}

CASES: dict[str, Raw] = {
    **{
        name: Raw(sent)
        for group in (LENGTHS, CHUNKS, HEADS, FIRST_LINES, BODIES)
        for name, sent in group.items()
    },
    **EARLY_ENDS,
    **{name: Raw(sent, is_refused=False) for name, sent in STRANGE.items()},
}

"""Stands between a client and the gateway, passes on every byte unchanged, and keeps them: so that
it is seen in which format and coding a client pushed, not believed."""

import re
import socket
import threading
from urllib.parse import urlsplit

TYPES = {
    None: "no type",
    "text/plain": "text",
    "application/x-www-form-urlencoded": "form",
    "application/openmetrics-text": "OpenMetrics",
    "application/vnd.google.protobuf": "protobuf",
}


class Recorder:
    def __init__(self, gateway):
        self.target = (urlsplit(gateway).hostname, urlsplit(gateway).port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = []  # of what was sent, what was received
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            gateway = socket.create_connection(self.target)
            sent, received = bytearray(), bytearray()
            self.connections.append((sent, received))
            for ends in [(client, gateway, sent), (gateway, client, received)]:
                threading.Thread(target=pass_on, args=ends, daemon=True).start()

    def pushes(self, job):
        """The requests that pushed to the job, each in words, and the statuses of the responses."""
        requests, statuses = [], []
        for sent, received in list(self.connections):
            found = [one for one in split_requests(bytes(sent)) if is_push(one, job)]
            requests += map(describe, found)
            if found:
                statuses += re.findall(rb"HTTP/1\.[01] ((?!1)\d+) ", bytes(received))
        return requests, [status.decode() for status in statuses]


def pass_on(source, sink, copy):
    try:
        while piece := source.recv(65536):
            copy += piece
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of them has hung up, and the other one will see it


def split_requests(sent):
    """The whole requests of a connection: the words of the first line, the fields, the body."""
    while b"\r\n\r\n" in sent:
        head, _, sent = sent.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for field in lines:
            name, _, value = field.partition(":")
            fields[name.lower()] = value.strip()
        if "transfer-encoding" in fields:
            body, sent = split_chunks(sent)
        else:
            length = int(fields.get("content-length", 0))
            body, sent = sent[:length], sent[length:]
        yield line.split(), fields, body


def split_chunks(sent):
    body = b""
    while b"\r\n" in sent:
        size, _, sent = sent.partition(b"\r\n")
        length = int(size, 16)
        body, sent = body + sent[:length], sent[length + 2:]
        if length == 0:
            break
    return body, sent


def is_push(request, job):
    (method, path, _), _, _ = request
    return method in ("POST", "PUT") and path == f"/metrics/job/{job}"


def describe(request):
    (method, _, version), fields, body = request
    media_type = fields.get("content-type", "").partition(";")[0] or None
    words = [method, TYPES.get(media_type, media_type)]
    if media_type == "application/openmetrics-text" and b" # {" in body:
        words.append("with exemplars")
    for field in ["content-encoding", "transfer-encoding", "expect"]:
        if field in fields:
            words.append(fields[field])
    if version != "HTTP/1.1":
        words.append(version)
    return " ".join(words)

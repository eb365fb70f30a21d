"""Stands before Postgres as a transaction pooler does: each query of a client goes to another one of its connections."""

import itertools
import socket
import socketserver
import struct
import threading

ENCRYPT = (80877103, 80877104)  # asked for before anything else; we have none


class Stream:
    """Messages of Postgres' protocol, as they are."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("rb")

    def read(self, count):
        data = self.file.read(count)
        if len(data) < count:
            raise ConnectionError("the other side is gone")
        return data

    def message(self):
        head = self.read(5)
        return head + self.read(struct.unpack(">i", head[1:])[0] - 4)

    def until(self, kind):
        """All messages up to the first of this kind."""
        messages = []
        while not messages or messages[-1][:1] != kind:
            messages.append(self.message())
        return b"".join(messages)

    def startup(self):
        while True:
            head = self.read(4)
            packet = head + self.read(struct.unpack(">i", head)[0] - 4)
            if struct.unpack(">i", packet[4:8])[0] not in ENCRYPT:
                return packet
            self.connection.sendall(b"N")

    def ask(self, data):
        self.connection.sendall(data)
        return self.until(b"Z")


class Pooler:
    """For one client at a time. Connections to Postgres are kept when the client goes."""

    def __init__(self, target, connections):
        self.target, self.count = target, connections
        self.servers, self.greeting, self.client = [], b"", None
        pooler = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    pooler.serve(self.request)
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, connection):
        client = Stream(connection)
        packet = client.startup()
        while len(self.servers) < self.count:
            self.servers.append(Stream(socket.create_connection(("127.0.0.1", self.target))))
            self.greeting = self.servers[-1].ask(packet)
        self.client = connection
        connection.sendall(self.greeting)
        for server in itertools.cycle(self.servers):
            connection.sendall(server.ask(client.until(b"S")))

    def cut(self):
        self.client.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for server in self.servers:
            server.connection.close()

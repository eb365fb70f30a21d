"""Wires between programs that can be cut, held, slowed and watched. One thread moves the bytes of all of them."""

import asyncio
import socket
import struct
import threading

PIECE = 1 << 16


class Frames:
    """Follows the requests of Kafka's protocol in a stream of bytes: four bytes of length, two of what is asked."""

    def __init__(self):
        self.head, self.left = b"", 0

    def kinds(self, data):
        """What is asked in the requests that begin in these bytes."""
        at = 0
        while at < len(data):
            if self.left > 0:
                taken = min(self.left, len(data) - at)
                self.left -= taken
                at += taken
                continue
            taken = min(6 - len(self.head), len(data) - at)
            self.head += data[at : at + taken]
            at += taken
            if len(self.head) == 6:
                length, kind = struct.unpack(">ih", self.head)
                self.head, self.left = b"", max(length - 2, 0)
                yield kind


class Wire:
    """Listens on one port and leads to another one."""

    def __init__(self, relay, name, port, target):
        self.relay, self.name, self.port, self.target = relay, name, port, target
        self.held = asyncio.Event()
        self.held.set()  # set: bytes pass
        self.bytes_per_s = None
        self.cut_after = None  # bytes that still pass before a connection is reset
        self.trap = None  # called with the kind of each request of Kafka's protocol, before it is handed on; may give a verdict:
        self.released = asyncio.Event()  # "hang": it is handed on when this is set
        self.losing = set()  # "lose": it is handed on, and the connection is reset when the answer comes; "cut": before it is handed on
        self.pairs = set()

    # -- called from outside ---------------------------------------------------------------------------------------------

    def reset(self):
        """All that are connected see a reset."""
        self.relay.call(lambda: [self.abort(pair) for pair in list(self.pairs)])

    def hold(self):
        """A black hole: connections are made, and nothing comes through."""
        self.relay.call(self.held.clear)

    def heal(self):
        self.bytes_per_s = self.cut_after = None
        self.relay.call(self.held.set)

    def release(self):
        """What hangs goes on."""
        self.relay.call(self.released.set)

    # -- in the relay's thread -------------------------------------------------------------------------------------------

    def abort(self, pair):
        for writer in pair:
            tcp = writer.get_extra_info("socket")
            if tcp is not None and tcp.fileno() >= 0:
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def take(self, reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.abort((writer,))
            return
        pair = (writer, there[1])
        self.pairs.add(pair)
        ways = [asyncio.ensure_future(self.pump(reader, there[1], pair, Frames())), asyncio.ensure_future(self.pump(there[0], writer, pair, None))]
        await asyncio.wait(ways)
        self.pairs.discard(pair)
        self.losing.discard(pair)
        for end in pair:
            end.close()

    async def is_cut(self, data, pair, frames):
        """What the trap says about these bytes, which are answers when there are no frames."""
        if frames is None:
            return pair in self.losing
        for kind in list(frames.kinds(data)):
            verdict = self.trap(kind) if self.trap else None
            if verdict == "cut":
                return True
            if verdict == "lose":
                self.losing.add(pair)
            if verdict == "hang":
                await self.released.wait()
        return False

    async def pump(self, reader, writer, pair, frames):
        try:
            while data := await reader.read(PIECE):
                await self.held.wait()
                if self.bytes_per_s:
                    await asyncio.sleep(min(len(data) / self.bytes_per_s, 5))
                if await self.is_cut(data, pair, frames):
                    self.abort(pair)
                    return
                if self.cut_after is not None:
                    self.cut_after -= len(data)
                    if self.cut_after < 0:
                        self.cut_after = None
                        writer.write(data[: len(data) // 2])
                        self.abort(pair)
                        return
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            self.abort(pair)


class Relay:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.wires = {}
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, what):
        self.loop.call_soon_threadsafe(what)

    def wire(self, name, port, target):
        async def begin():
            wire = Wire(self, name, port, target)
            wire.server = await asyncio.start_server(wire.take, "127.0.0.1", port, backlog=1024)
            return wire

        self.wires[name] = asyncio.run_coroutine_threadsafe(begin(), self.loop).result(20)
        return self.wires[name]

    def close(self):
        """All wires are cut, and their ports are free again."""

        async def end():
            for wire in self.wires.values():
                wire.server.close()
                for pair in list(wire.pairs):
                    wire.abort(pair)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.loop.call_soon(self.loop.stop)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(20)

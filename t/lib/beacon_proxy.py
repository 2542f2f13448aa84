"""A small TCP proxy on loopback that is as bad a network as a test wants."""

import select
import socket
import struct
import threading
import time

RESET = struct.pack('ii', 1, 0)         # SO_LINGER: close by a reset


class Proxy:
    """From port to target, both on 127.0.0.1.  While it runs:

    delay      seconds that each piece waits, in both directions
    rate       bytes a second of a connection, towards the target; 0: any
    blackhole  takes connections and bytes, and passes nothing on
    refuse     closes each new connection by a reset
    reset()    resets all connections there are
    """

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.delay = 0
        self.rate = 0
        self.blackhole = False
        self.refuse = False
        self.done = False
        self.accepted = 0
        self.pairs = set()
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def heal(self):
        self.delay = self.rate = 0
        self.blackhole = self.refuse = False

    def reset(self):
        """Resets every connection; how many they were."""
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        for pair in pairs:
            for sock in pair:
                self._reset(sock)
        return len(pairs)

    def stop(self):
        self.done = True
        # wakes accept()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.reset()

    @staticmethod
    def _reset(sock):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            # a close alone would wait for a thread that polls it
            sock.shutdown(socket.SHUT_RD)
            sock.close()
        except OSError:
            pass

    def _accept(self):
        while not self.done:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.refuse:
                self._reset(near)
                continue
            threading.Thread(target=self._connect, args=(near,),
                             daemon=True).start()

    def _connect(self, near):
        far = None
        while self.blackhole and not self.done:
            time.sleep(0.05)
        try:
            far = socket.create_connection(('127.0.0.1', self.target), 5)
        except OSError:
            self._reset(near)
            return
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (near, far)
        with self.lock:
            self.pairs.add(pair)
        try:
            self._pass(near, far)
        except (OSError, ValueError):
            pass
        with self.lock:
            self.pairs.discard(pair)
        for sock in pair:
            self._reset(sock)

    def _pass(self, near, far):
        poll = select.poll()
        other = {near.fileno(): (near, far), far.fileno(): (far, near)}
        for number in other:
            poll.register(number, select.POLLIN)
        while not self.done:
            for number, _ in poll.poll(100):
                source, sink = other[number]
                if self.blackhole:
                    time.sleep(0.05)
                    continue
                data = source.recv(65536)
                if not data:
                    return
                if self.delay:
                    time.sleep(self.delay)
                if self.rate and sink is far:
                    time.sleep(len(data) / self.rate)
                sink.sendall(data)

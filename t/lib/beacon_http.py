"""A plain HTTP/1.1 client on raw sockets: it sends what it is given, byte for
byte, and never retries or follows anything."""

import json
import socket

from beacon_proc import wanted


def as_bytes(text):
    """Bytes as they are; a string as latin-1, where it fits, else UTF-8."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode('latin-1')
    except UnicodeEncodeError:
        return text.encode()


class Closed(Exception):
    """The server closed or reset the connection before a whole answer."""


class Response:
    def __init__(self, status, headers, body, raw):
        self.status = status
        self.headers = headers          # [(lower-case name, value), ...]
        self.body = body
        self.raw = raw

    def header(self, name):
        """The first header of that name, or None."""
        for key, value in self.headers:
            if key == name.lower():
                return value
        return None

    def header_all(self, name):
        return [value for key, value in self.headers if key == name.lower()]

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return 'Response(%d, %r, %r)' % (self.status, self.headers, self.body)


class Client:
    """One keep-alive connection."""

    def __init__(self, port, host='127.0.0.1', timeout=10):
        self.peer = '%s:%d' % (host, port)
        self.timeout = timeout * wanted()
        self.sock = socket.create_connection((host, port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b''

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def send(self, data):
        """Raw bytes; Closed if the other side is gone."""
        try:
            self.sock.sendall(as_bytes(data))
        except OSError as error:
            raise Closed(str(error)) from error

    def request(self, target, method='GET', headers=None, body=None,
                version='HTTP/1.1', host=None):
        """Sends one request and reads its answer.  headers: a dict or a list
        of pairs; Content-Length is added where a body is given and neither
        it nor Transfer-Encoding is among them."""
        self.send(self.format(target, method, headers, body, version, host))
        return self.response(head=method == 'HEAD')

    def format(self, target, method='GET', headers=None, body=None,
               version='HTTP/1.1', host=None):
        pairs = list(headers.items() if isinstance(headers, dict)
                     else headers or [])
        names = {as_bytes(name).lower() for name, _ in pairs}
        if b'host' not in names and version != 'HTTP/1.0':
            pairs.insert(0, ('Host', host or self.peer))
        if (body is not None and b'content-length' not in names
                and b'transfer-encoding' not in names):
            pairs.append(('Content-Length', str(len(as_bytes(body)))))
        lines = [as_bytes(method) + b' ' + as_bytes(target) + b' '
                 + as_bytes(version)]
        lines += [as_bytes(name) + b': ' + as_bytes(value)
                  for name, value in pairs]
        return b'\r\n'.join(lines) + b'\r\n\r\n' + as_bytes(body or b'')

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed('end of file after %r' % self.buffer[:200])
        self.buffer += data

    def _take(self, length):
        while len(self.buffer) < length:
            self._more()
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data

    def _line(self):
        while b'\r\n' not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b'\r\n', 1)
        return line

    def response(self, head=False):
        """Reads one whole answer (1xx are skipped)."""
        while True:
            while b'\r\n\r\n' not in self.buffer:
                self._more()
            top, self.buffer = self.buffer.split(b'\r\n\r\n', 1)
            lines = top.split(b'\r\n')
            status = int(lines[0].split(b' ', 2)[1])
            if status >= 200:
                break
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(b':')
            headers.append((name.decode('latin-1').strip().lower(),
                            value.decode('latin-1').strip()))
        body = self._body(status, dict(headers), head)
        return Response(status, headers, body, top + b'\r\n\r\n' + body)

    def _body(self, status, headers, head):
        if head or status in (204, 304):
            return b''
        if headers.get('transfer-encoding', '').lower() == 'chunked':
            body = b''
            while True:
                size = int(self._line().split(b';')[0], 16)
                body += self._take(size)
                self._line()
                if size == 0:
                    return body
        if 'content-length' in headers:
            return self._take(int(headers['content-length']))
        while True:                     # until the server closes
            try:
                self._more()
            except Closed:
                body, self.buffer = self.buffer, b''
                return body

    def closed(self):
        """True once the server has closed the connection (does not wait)."""
        try:
            self.sock.setblocking(False)
            data = self.sock.recv(65536)
            self.buffer += data
            return not data
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(self.timeout)

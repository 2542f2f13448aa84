"""The live API of an Env, each answer held against its OpenAPI document.

    env = Env(http='beacon_live size=8m;', server=VIEW)
    env.start()
    live = Live(env)
    live.hit('shop', e='pageview')
    live.settle()
    live.get('/v1/shop/hits').json()['hits']
    with live.stream('/v1/shop/stream') as stream:
        stream.next()                   # Event(event, id, data)
    live.conforms()

"""

import json
import socket
import time
import urllib.parse

import beacon_test as t
from beacon_http import Client, Closed
from beacon_openapi import OpenAPI

VIEW = '''
    location /live/ { beacon_live_view; beacon_live_sites *; }
'''


class Live:
    api = None

    def __init__(self, env, prefix='/live'):
        self.env = env
        self.prefix = prefix
        if Live.api is None:
            Live.api = OpenAPI()
        self.api = Live.api
        self.wrong = []
        self.sent = 0

    def get(self, path, headers=None, **options):
        response = self.env.get(self.prefix + path, headers, **options)
        self.hold(path, response, options.get('method'))
        return response

    def hold(self, path, response, method=None):
        """The answer to path against the document."""
        if method == 'OPTIONS':
            return
        self.wrong += ['%s: %s' % (path, wrong) for wrong in self.api.check(
            path, response, head=method == 'HEAD')]

    def json(self, path, **options):
        response = self.get(path, **options)
        if response.status != 200:
            raise Closed('%s: %r' % (path, response))
        return response.json()

    def conforms(self, name='every answer is as the OpenAPI document says'):
        if not t.ok(not self.wrong, name):
            t.diag('\n'.join(self.wrong[:20]))

    # ---- hits

    def hit(self, site='shop', count=1, headers=None, client=None, **args):
        """count hits; args become the query."""
        query = urllib.parse.urlencode({'site': site, **args})
        with client or Client(self.env.port) as client:
            for _ in range(count):
                response = client.request('/px.gif?' + query,
                                          headers=headers)
                if response.status not in (200, 204):
                    raise Closed('a hit: %r' % response)
        self.sent += count

    def settle(self):
        """True once all that was accepted is in the store, and in the log."""
        return self.env.wait_drained()

    def there(self, seconds=10):
        """True once the store is."""
        return t.wait_until(
            lambda: self.env.get(self.prefix + '/v1/sites').status == 200,
            seconds)

    def cursor(self, site='shop'):
        """Behind the site's newest hit."""
        return self.json('/v1/%s/hits?limit=0' % site)['next']

    def stream(self, path, headers=None, **options):
        return Stream(self, path, headers, **options)


class Event:
    def __init__(self):
        self.event, self.id, self.data = 'message', None, ''

    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return 'Event(%r, %r, %r)' % (self.event, self.id, self.data)


class Stream:
    """Server-sent events, as a browser reads them.  last_id is what it would
    send when it comes again."""

    def __init__(self, live, path, headers=None, port=None):
        self.live = live
        self.client = Client(port or live.env.port)
        self.client.send(self.client.format(
            live.prefix + path, headers={'Accept-Encoding': 'gzip',
                                         **(headers or {})}))
        self.buffer, self.raw = b'', 0
        self.beats, self.last_id, self.retry = 0, None, None
        self.ended = False
        self._head(path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.client.close()

    def _head(self, path):
        client = self.client
        while b'\r\n\r\n' not in client.buffer:
            client._more()
        top, client.buffer = client.buffer.split(b'\r\n\r\n', 1)
        lines = top.decode('latin-1').split('\r\n')
        self.status = int(lines[0].split(' ')[1])
        self.headers = [(name.lower(), value.strip()) for name, _, value
                        in (line.partition(':') for line in lines[1:])]
        if self.status == 200:
            self.live.hold(path, self)

    def header(self, name):
        return dict(self.headers).get(name.lower())

    def _chunk(self, seconds):
        """One more chunk into buffer; False: none came."""
        client = self.client
        client.sock.settimeout(seconds)
        try:
            size = int(client._line().split(b';')[0], 16)
            client.sock.settimeout(client.timeout)
            self.buffer += client._take(size)
            client._line()
            self.raw += size
        except (socket.timeout, TimeoutError):
            return False
        except Closed:
            size = 0
        self.ended |= size == 0
        return not self.ended

    def next(self, seconds=10):
        """The next event that is no beat; None: none came, or the stream has
        ended."""
        deadline = time.monotonic() + seconds * t.slow()
        while True:
            while b'\n\n' not in self.buffer:
                left = deadline - time.monotonic()
                if self.ended or left <= 0 or not self._chunk(left):
                    return None
            block, self.buffer = self.buffer.split(b'\n\n', 1)
            event = self._event(block.decode())
            if event.event == 'beat':
                self.beats += 1
                self.live.wrong += self.live.api.against('Beat', event.json())
            elif event.data:
                return event

    def _event(self, block):
        event, data = Event(), []
        for line in block.split('\n'):
            name, _, value = line.partition(':')
            value = value[1:] if value.startswith(' ') else value
            if name == 'id':
                self.last_id = value
            elif name == 'event':
                event.event = value
            elif name == 'data':
                data.append(value)
            elif name == 'retry':
                self.retry = int(value)
            else:
                self.live.wrong.append('a stream has the field %r' % name)
        event.id, event.data = self.last_id, '\n'.join(data)
        return event

    def take(self, count, seconds=10):
        """That many events, or as many as came."""
        events = []
        while len(events) < count:
            event = self.next(seconds)
            if event is None:
                break
            events.append(event)
        return events

    def end(self, seconds=10):
        """True if it ends, whatever comes before."""
        def over():
            self.next(1)
            return self.ended
        return bool(t.wait_until(over, seconds, 0))

"""The dashboard in a real browser, fed by a real nginx and beacond.

    from beacon_dashboard import Dashboard, live_env
    env = live_env()
    env.start()
    page = Dashboard(env)
    page.open(site='shop')
    page.hit(e='pageview', url='https://shop.example/cart')
    page.wait('no row', lambda: page.rows())
"""

import os
import random
import select
import time
import urllib.parse

import beacon_test as t
import beacon_browser as browser
from beacon_proxy import Proxy

AXE = os.path.join(t.TOP, 'build', 'axe', 'axe.min.js')

LIVE = 'beacon_live size=8m;'
SERVER = '''
    location = /hit.gif {
        beacon gif;
        beacon_site $beacon_arg_site;
        beacon_visitor $beacon_arg_vid;
        beacon_field country $beacon_arg_country;
        beacon_field title $beacon_arg_title;
        beacon_flag bot $beacon_arg_bot;
    }
    location /live/ {
        beacon_live_view pixel=https://px.example.com/px.gif;
        beacon_live_sites *;
    }
'''


def live_env(http='', server='', live=LIVE, **options):
    return t.Env(http=live + http, server=SERVER + server, **options)


class Between(Proxy):
    """What stands between a page and its server, and knows HTTP a little:

    answers    {part of a request: the whole answer that it gets}
    event      goes into a stream that passes, once
    bytes      of all answers
    mute()     streams there are pass nothing on to the page any more
    asked(part)    how many requests had that
    """

    def __init__(self, port, target):
        self.answers = {}
        self.event = b''
        self.bytes = 0
        self.dead = set()
        self.heads = []
        super().__init__(port, target)

    def mute(self):
        with self.lock:
            self.dead = set(self.pairs)

    def asked(self, part):
        return sum(part.encode() in head for head in self.heads)

    @staticmethod
    def answer(status, headers='', body=''):
        return ('HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s' % (
            status, len(body), headers, body)).encode()

    def _pass(self, near, far):
        stream = False
        while not self.done:
            if self.blackhole:
                time.sleep(0.05)
                continue
            for source in select.select([near, far], [], [], 0.1)[0]:
                data = source.recv(65536)
                if not data:
                    return
                if source is near:
                    stream = b'/stream?' in data
                    self._ask(data, near, far)
                elif not (stream and (near, far) in self.dead):
                    self._tell(data, near, stream)

    def _ask(self, data, near, far):
        self.heads.append(data.split(b'\r\n', 1)[0])
        for part, answer in list(self.answers.items()):
            if part.encode() in data:
                near.sendall(answer)
                return
        far.sendall(data)

    def _tell(self, data, near, stream):
        with self.lock:
            self.bytes += len(data)
        # between two of its chunks
        if stream and self.event and not data.startswith(b'HTTP'):
            near.sendall(b'%x\r\n%s\r\n' % (len(self.event), self.event))
            self.event = b''
        near.sendall(data)


class Dashboard:
    def __init__(self, env, port=None):
        why = browser.available()
        if why:
            t.skip_all(why)
        self.env = env
        self.base = 'http://127.0.0.1:%d' % (port or env.port)
        self.chrome = browser.Browser(env)
        self.chrome.size(1280, 720)
        self.chrome.command('Performance.enable', timeDomain='threadTicks')
        self.number = 0

    def close(self):
        self.chrome.close()

    def run(self, script, *args):
        return self.chrome.run(script, *args)

    def open(self, path='/live/', **query):
        self.chrome.get(self.base + path + (
            '?' + urllib.parse.urlencode(query) if query else ''))

    # ---- traffic

    def hit(self, site='shop', headers=None, **args):
        """One hit; its status."""
        self.number += 1
        args.setdefault('vid', 'v%d' % (self.number % 7))
        args.setdefault('url', 'https://shop.example/p/%d' % self.number)
        target = '/hit.gif?' + urllib.parse.urlencode({'site': site, **args})
        return self.env.get(target, {'Host': 'shop.example',
                                     'User-Agent': 'test',
                                     **(headers or {})}).status

    def hits(self, count, **args):
        return [self.hit(**args) for _ in range(count)]

    # ---- what is to be seen

    def text(self, selector):
        return self.run('return document.querySelector(args[0]).innerText',
                        selector)

    def texts(self, selector):
        return self.run('return [...document.querySelectorAll(args[0])]'
                        '.map(e => e.innerText)', selector)

    def before(self, script):
        """Runs in each page from now on, before its own scripts; ends by
        after(), given what this returns."""
        return self.chrome.command('Page.addScriptToEvaluateOnNewDocument',
                                   source=script)['identifier']

    def after(self, identifier):
        self.chrome.command('Page.removeScriptToEvaluateOnNewDocument',
                            identifier=identifier)

    # What takes minutes takes a moment, as a test says: {ms: ms}.
    FASTER = '''
        window.faster = {};
        {
            const real = setTimeout;
            window.setTimeout = (run, ms, ...args) => real(run,
                window.faster[ms] ?? ms, ...args);
        }'''

    def hide(self, hidden=True):
        self.run('''
            if (args[0])
                Object.defineProperty(document, 'hidden', {
                    get: () => true, configurable: true});
            else
                delete document.hidden;
            document.dispatchEvent(new Event('visibilitychange'));''',
                 hidden)

    def phase(self):
        return self.run('return document.body.dataset.phase')

    def state(self):
        return self.text('#state-text')

    def visitors(self):
        text = self.text('#visitors').replace(',', '')
        return int(text) if text.isdigit() else None

    def rows(self):
        """What stands in the feed, newest first."""
        return self.texts('#feed > li')

    def pages(self):
        return self.texts('#feed .row .page')

    def wait(self, condition, name, seconds=15):
        """One test: the condition comes true."""
        def good():
            try:
                return condition()
            except TypeError:           # not there yet
                return None
        value = t.wait_until(good, seconds, 0.05)
        if not t.ok(value, name):
            t.diag('%s: %s; %s' % (self.phase(), self.state(),
                                   self.rows()[:5]))
        return value

    def live(self, name='the page is live', seconds=15):
        return self.wait(lambda: self.phase() in ('live', 'quiet'), name,
                         seconds)

    # ---- the keyboard, as a person has it

    KEYS = {'Tab': 9, 'Enter': 13, 'Escape': 27, 'End': 35, 'Home': 36,
            'ArrowLeft': 37, 'ArrowUp': 38, 'ArrowRight': 39, 'ArrowDown': 40,
            ' ': 32}

    def key(self, *names, shift=False):
        for name in names:
            values = {'key': name, 'code': 'Space' if name == ' ' else name,
                      'windowsVirtualKeyCode': self.KEYS[name],
                      'modifiers': 8 if shift else 0}
            if name in (' ', 'Enter'):
                values['text'] = '\r' if name == 'Enter' else ' '
            self.chrome.command('Input.dispatchKeyEvent', type='keyDown',
                                **values)
            values.pop('text', None)
            self.chrome.command('Input.dispatchKeyEvent', type='keyUp',
                                **values)

    def type(self, text):
        self.chrome.command('Input.insertText', text=text)

    def focused(self):
        """The name of what has the focus, as a screen reader says it."""
        return self.run('''
            const e = document.activeElement;
            return e.getAttribute('aria-label')
                   || e.innerText.trim().replaceAll('\\n', ' ')
                   || e.textContent.trim() || e.id;''')

    def tab_to(self, name, limit=30):
        """Tab until that has the focus; False: it never does."""
        for _ in range(limit):
            self.key('Tab')
            if self.focused().startswith(name):
                return True
        return False

    # ---- judges

    def axe(self):
        """What axe-core finds; None: it is not here."""
        if not os.path.exists(AXE):
            return None
        with open(AXE, encoding='utf-8') as file:
            self.chrome.driver.execute_script(file.read())
        found = self.run('''
            const result = await axe.run(document, {resultTypes:
                ['violations']});
            return result.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3)
                .map(n => n.target + ' ' + (n.any[0] || n.all[0]
                     || n.none[0] || {}).message).join('; '));''')
        return found

    def no_faults(self, name):
        """One test: axe-core finds nothing."""
        found = self.axe()
        if found is None:
            t.skip('axe-core is not there: make deps-test')
            return
        if not t.ok(found == [], name):
            t.diag('\n'.join(map(str, found)))

    def complaints(self):
        """What the console has to say of the page itself; that a request
        failed is no fault of the page."""
        return [text for text in self.chrome.console()
                if 'Failed to load resource' not in text
                and 'net::ERR' not in text
                and 'willReadFrequently' not in text]   # the test's own

    def heap(self):
        """Bytes of JavaScript after a collection."""
        self.chrome.command('HeapProfiler.enable')
        self.chrome.command('HeapProfiler.collectGarbage')
        return self.metrics()['JSHeapUsedSize']

    def metrics(self):
        """What the browser counts; times are of its main thread alone."""
        values = self.chrome.command('Performance.getMetrics')['metrics']
        return {v['name']: v['value'] for v in values}


def nasty():
    """Texts that a page must show and never run."""
    mark = 'x%d' % random.randrange(10 ** 6)
    return ['<script>window.evil="%s"</script>' % mark,
            '"><img src=x onerror="window.evil=1">',
            "'-(window.evil=1)-'", '</title><svg onload=window.evil=1>',
            'javascript:window.evil=1', '{{window.evil=1}}${window.evil=1}',
            '\u202eevil\u202c\u2066rtl', '\u05e9\u05dc\u05d5\u05dd \u0645',
            '\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1ec\U0001f1f7',
            '\u0000\u0007\u001b[31m', '&lt;b&gt;&amp;', '<b>bold</b>',
            'a' * 800]

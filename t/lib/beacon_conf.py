"""What nginx -t says of a configuration, with file and line.

    from beacon_conf import Conf
    conf = Conf('beacon_ring %%RING%%;')        # what stands before each
    conf.good('beacon_log %%LOG%%/x;', 'a log is taken')
    conf.bad('beacon_log x;', 'absolute', 'beacon_log', 'a relative is not')
"""

import re

import beacon_test as t

TEXT = '''\
%%MAIN%%
http {
    %%TEMP_PATHS%%
    access_log off;
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT%%;
        location /px.gif { beacon gif; beacon_site shop; %%LOCATION%% }
    }
}
'''


class Conf:
    def __init__(self, before, location=''):
        self.before = before
        self.env = t.Env(conf=TEXT, values={'LOCATION': location})
        self.env.allow(r'\[emerg\]')

    def check(self, http):
        """(exit code, what nginx -t says)"""
        self.env.configure(http=self.before + '\n' + http)
        return self.env.check()

    def good(self, http, name):
        """Accepted; returns what was said."""
        code, said = self.check(http)
        if not t.ok(code == 0 and '[emerg]' not in said, name):
            t.diag(said)
        return said

    def line_of(self, marker):
        marker = self.env.expand(marker)
        with open(self.env.conf_file, encoding='latin-1') as file:
            for number, line in enumerate(file, 1):
                if marker in line:
                    return number
        return None

    def bad(self, http, message, marker, name, where=None):
        """Refused with message, naming the file and line of what holds
        marker (or where).  Returns what was said."""
        code, said = self.check(http)
        where = where or '%s:%s' % (self.env.conf_file, self.line_of(marker))
        if not t.ok(code != 0 and re.search(message, said)
                    and re.search(re.escape(where) + r'\b', said), name):
            t.diag('exit code %d, expected /%s/ and %s' % (code, message,
                                                         where))
            t.diag(said)
        return said

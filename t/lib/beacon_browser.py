"""Headless Chromium, driven by Debian's chromedriver, in an Env: names of a
test CA on loopback, and nothing beyond it."""

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import sys

import beacon_test as t
import beacon_proc as proc

CHROMIUM = '/usr/bin/chromium'
DRIVER = '/usr/bin/chromedriver'
SCRATCH = ('/tmp/', '/var/tmp/', '/dev/shm/')   # where others' files are, too


def available():
    """Why there is no browser to test with; empty: there is one."""
    for path in (CHROMIUM, DRIVER):
        if not os.path.exists(path):
            return path + ' is not installed'
    try:
        socket.getaddrinfo('localhost', 80)
    except OSError:
        return 'chromedriver wants localhost to have an address (/etc/hosts)'
    try:
        import selenium                         # noqa: F401
    except ImportError:
        return 'python3-selenium is not installed'
    return ''


def _openssl(*args):
    done = subprocess.run(['openssl', *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode('latin-1'))
    return done.stdout


def certificate(directory, names):
    """Makes ca.pem, a CA, and cert.pem and key.pem, which it vouches for
    these names; returns the hash by which Chromium trusts it."""
    def path(name):
        return os.path.join(directory, name)
    _openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30',
             '-subj', '/CN=Beacon test CA', '-keyout', path('ca.key'),
             '-out', path('ca.pem'))
    _openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj',
             '/CN=' + names[0], '-keyout', path('key.pem'),
             '-out', path('cert.csr'))
    with open(path('cert.ext'), 'w', encoding='ascii') as file:
        file.write('subjectAltName=%s\n' % ','.join(
            'DNS:' + name for name in names))
    _openssl('x509', '-req', '-in', path('cert.csr'), '-CA', path('ca.pem'),
             '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '30',
             '-extfile', path('cert.ext'), '-out', path('cert.pem'))
    with open(path('cert.pub'), 'wb') as file:
        file.write(_openssl('x509', '-in', path('cert.pem'), '-pubkey',
                            '-noout'))
    key = _openssl('pkey', '-pubin', '-in', path('cert.pub'), '-outform',
                   'DER')
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ''


def _remove(name):
    """A file, or the directory that Chromium made for it."""
    above = os.path.dirname(name)
    if 'hromium' in os.path.basename(above):
        shutil.rmtree(above, ignore_errors=True)
    elif os.path.exists(name):
        os.unlink(name)


class Browser:
    """One Chromium with a profile of its own in env.root.  hosts: names that
    are 127.0.0.1:port at their scheme's own port; no other resolves."""

    def __init__(self, env, hosts=(), port=0, trust=''):
        sys.path.append('/usr/lib/python3/dist-packages')
        from selenium import webdriver
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service
        from selenium.webdriver.common import utils

        class Loopback(Service):
            """Not by the name localhost: it need not resolve."""

            @property
            def service_url(self):
                return 'http://127.0.0.1:%d' % self.port

            def is_connectable(self):
                return utils.is_connectable(self.port, '127.0.0.1')

        options = Options()
        options.binary_location = CHROMIUM
        rules = ['MAP %s:443 127.0.0.1:%d' % (host, port) for host in hosts]
        rules += ['MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1']
        for argument in (
                '--headless=new', '--no-sandbox', '--disable-gpu',
                '--disable-dev-shm-usage', '--no-first-run',
                '--disable-background-networking', '--disable-sync',
                '--disable-component-update', '--disable-default-apps',
                '--disable-extensions', '--metrics-recording-only',
                '--ignore-certificate-errors-spki-list=' + trust,
                '--user-data-dir=' + os.path.join(env.root, 'profile'),
                '--host-resolver-rules=' + ','.join(rules)):
            options.add_argument(argument)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
        self.root = env.root
        self.known = set(proc.descendants())
        home = os.path.join(env.root, 'home')
        os.mkdir(home)
        self.driver = webdriver.Chrome(
            options=options, service=Loopback(
                DRIVER, env={**os.environ, 'HOME': home, 'TMPDIR': home}))
        self.driver.set_script_timeout(30 * t.slow())
        self.driver.set_page_load_timeout(30 * t.slow())

    def get(self, url):
        self.driver.get(url)

    def run(self, script, *args):
        """Runs the body of an async function in the page; its value.  An
        exception there is {'error': text}."""
        return self.driver.execute_async_script(
            'const args = [...arguments], done = args.pop();'
            '(async () => {' + script + '})().then(done, '
            'error => done({error: String(error)}));', *args)

    def command(self, name, **values):
        """A command of Chromium's debugging protocol."""
        return self.driver.execute_cdp_cmd(name, values)

    def console(self):
        """What the console said since it was asked last, as text."""
        return [entry['message'] for entry in self.driver.get_log('browser')]

    def size(self, width, height, scale=1, mobile=False):
        self.command('Emulation.setDeviceMetricsOverride', width=width,
                     height=height, deviceScaleFactor=scale, mobile=mobile)

    def media(self, **features):
        """prefers_color_scheme='dark', prefers_reduced_motion='reduce'"""
        self.command('Emulation.setEmulatedMedia', features=[
            {'name': name.replace('_', '-'), 'value': value}
            for name, value in features.items()])

    def processes(self):
        """The driver, the browser and their like."""
        return [pid for pid in proc.descendants() if pid not in self.known
                and 'chrom' in os.path.basename(proc.exe(pid))]

    def strays(self):
        """What these processes have made for themselves (TMPDIR says where)
        outside of the test's directory; nobody else's."""
        found = {_link(os.path.join(self.root, 'profile', 'SingletonSocket'))}
        for pid in self.processes():
            for name in proc.files(pid):
                found.add(name)
        return sorted(name for name in found if name.startswith(SCRATCH)
                      and not name.startswith(self.root + '/')
                      and 'hromium' in name)

    def close(self):
        """Ends the browser and all that it started; nothing is left of it,
        for what it makes is in the test's directory."""
        strays = self.strays()
        left = self.processes()
        try:
            self.driver.quit()
        finally:
            if not t.wait_until(lambda: not any(map(proc.alive, left)), 10):
                proc.kill_all(left)
            proc.reap()
            if not t.ok(not strays, 'the browser leaves nothing behind'):
                t.diag('\n'.join(strays))
            for name in strays:
                _remove(name)

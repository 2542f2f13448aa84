#!/usr/bin/python3
"""What nginx -t accepts, and what it says, with file and line, about what it
does not."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

CONF = '''\
%%MAIN%%
http {
    %%TEMP_PATHS%%
    access_log off;
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT%%;
        %%SERVER%%
    }
}
'''

RING = 'beacon_ring %%RING%% lane_size=1m;\nbeacon_helper external;\n'
LOG = 'beacon_log %%LOG%%/$beacon_site.jsonl;\n'
PIXEL = 'location /px.gif { beacon gif; beacon_site shop; }\n'

env = Env(conf=CONF)
env.allow(r'\[emerg\]')


def check(http, server=PIXEL):
    env.configure(http=http, server=server)
    return env.check()


def good(http, server, name):
    code, said = check(http, server)
    if not ok(code == 0 and '[emerg]' not in said, name):
        diag(said)
    return said


def line_of(marker):
    """The line of nginx.conf that holds marker."""
    with open(env.conf_file, encoding='latin-1') as file:
        for number, line in enumerate(file, 1):
            if marker in line:
                return number
    return None


def bad(http, server, message, marker, name):
    """Refused with message, naming file and line of what holds marker."""
    code, said = check(http, server)
    where = re.escape('%s:%s' % (env.conf_file, line_of(env.expand(marker))))
    if not ok(code != 0 and re.search(message, said)
              and re.search(where + r'\b', said), name):
        diag('exit code %d, expected /%s/ and %s' % (code, message, where))
        diag(said)


# ---- what is well

said = good(RING + LOG, PIXEL, 'the smallest configuration is accepted')
unlike(said, r'durable|no "beacon', 'nothing is said about its sinks')
good(RING + LOG + '''
    beacon_edge web7;
    beacon_spool %%SPOOL%% size=1g min_free=7%;
    beacon_log %%LOG%%/b/${beacon_site}/%Y-%m-%d.jsonl name=second
        timezone=Europe/Athens sync=200ms max_files=10;
    beacon_log %%LOG%%/c/$beacon_field_country/%H sync=always;
    beacon_log %%LOG%%/d/$beacon_arg_x/%H sync=off
        timezone=$beacon_field_country;
    beacon_ids %%ROOT%%/ids/ids;
    beacon_visitor $beacon_arg_vid $cookie_vid;
    beacon_field country $http_x_country;
    beacon_flag bot $http_x_bot;
    beacon_max_body 16k;
    beacon_max_args 10;
    beacon_ip truncate;
    beacon_gpc anonymous;
    beacon_drop_args email phone;
    beacon_drop_args pass;
    beacon_cookie __Host-id if=$http_x_consent expires=400d path=/ partitioned;
    ''', '''
    beacon_site $beacon_arg_site;
    location /a { beacon gif; }
    location /b { beacon empty if=$beacon_arg_yes; beacon_site ${host}; }
    location /c { beacon off; }
    location /d { beacon gif; beacon_field other "a $uri b"; }
    location /e { beacon_status; }
    location /f { beacon_status json; }
    location /g { beacon on if=$beacon_arg_yes; return 200 "page"; }
    location /h { beacon_redirect https://shop.example/?$args; }
    location /i { beacon_redirect $beacon_arg_to allow=a.example
        allow=*.b.example allow=.c.example allow=~^d\.example$ allow=~. if=1;
        if ($arg_x) { return 403; } }
    location /j { beacon gif; beacon_cors https://a.example http://b:81
        https://[::1]:8443 capacitor://localhost; }
    location /k { beacon gif; beacon_cors *; }
    location /l { beacon gif; beacon_cors off; }
    location /m { beacon on; proxy_pass http://127.0.0.1:1; }
    location /n { beacon gif; beacon_drop_args email; beacon_keep_args e url;
                  beacon_ip off; beacon_gpc drop; beacon_cookie off; }
    location /o { beacon gif; beacon_ip full; beacon_gpc log;
                  beacon_cookie id domain=.example.com path=/a/b; }
    ''', 'every directive is accepted')
good('', 'location / { return 204; }',
     'the module loaded and not used is accepted')
good(LOG + RING, PIXEL, 'the order of directives in http{} is free')

said = good('beacon_helper %%HELPER%%; beacon_log %%LOG%%/x;', '',
            'sinks without a ring are accepted')
like(said, r'\[warn\].*no "beacon_ring"', 'with a warning')
said = good(RING, PIXEL, 'a ring without a durable sink is accepted')
like(said, r'\[warn\].*no durable sink', 'with a warning')

# ---- the ring

for option, message in (
        ('lane_size=1x', 'invalid size in "lane_size=1x"'),
        ('lane_size=', 'invalid size'),
        ('lane_size=-1', 'invalid size'),
        ('lane_size=32k', 'a lane takes 64k to 1024m'),
        ('lane_size=2g', 'a lane takes 64k to 1024m'),
        ('lane_size=100k', 'power of two'),
        ('lanes=0', 'invalid number of lanes.*1 to 256'),
        ('lanes=257', 'invalid number of lanes'),
        ('lanes=x', 'invalid number of lanes'),
        ('disk=maybe', 'invalid parameter "disk=maybe"'),
        ('lane=1m', 'invalid parameter')):
    bad('beacon_ring %%RING%% ' + option + ';' + LOG, PIXEL, message, option,
        'beacon_ring refuses "%s"' % option)
bad('beacon_ring run/beacon;' + LOG, PIXEL, 'must be an absolute path',
    'run/beacon', 'a relative directory of the ring is refused')
bad('beacon_ring /;' + LOG, PIXEL, 'must be an absolute path',
    'beacon_ring', 'the root as the ring is refused')
bad(RING + 'beacon_ring %%RING%%2;' + LOG, PIXEL,
    r'duplicate, the first stands in .*nginx.conf:\d+', '%%RING%%2',
    'two rings are refused')
bad(LOG, PIXEL, '"beacon" without "beacon_ring"', 'beacon gif',
    'beacon without a ring is refused')
bad(LOG, 'location / { beacon_status; }',
    '"beacon_status" without "beacon_ring"', 'beacon_status',
    'beacon_status without a ring is refused')

# ---- helper, edge, spool

for value, message in (
        ('/x threads=0', 'invalid number of threads'),
        ('/x threads=a', 'invalid number of threads'),
        ('/x thread=1', 'invalid parameter')):
    bad('beacon_ring %%RING%%; beacon_helper ' + value + ';' + LOG, PIXEL,
        message, value, 'beacon_helper refuses "%s"' % value)
bad(RING + 'beacon_helper /x;', PIXEL, 'duplicate', '/x',
    'two beacon_helper are refused')
for value in ('"a b"', "'a\"b'", '"a\\\\b"', '""', '"\xff"', 'x' * 256):
    bad(RING + LOG + 'beacon_edge ' + value + ';', PIXEL, 'invalid name',
        'beacon_edge', 'beacon_edge refuses %s' % ascii(value)[:12])
for value, message in (
        ('spool', 'must be an absolute path'),
        ('%%SPOOL%% size=x', 'invalid size'),
        ('%%SPOOL%% size=0', 'at least 1m is needed'),
        ('%%SPOOL%% size=1023k', 'at least 1m is needed'),
        ('%%SPOOL%% min_free=100%', 'invalid share'),
        ('%%SPOOL%% min_free=x%', 'invalid share'),
        ('%%SPOOL%% min_free=5', 'invalid parameter'),
        ('%%SPOOL%% a=b', 'invalid parameter')):
    bad(RING + LOG + 'beacon_spool ' + value + ';', PIXEL, message, value,
        'beacon_spool refuses "%s"' % value.replace('%%SPOOL%% ', ''))
bad(RING + LOG + 'beacon_spool %%SPOOL%%;\nbeacon_spool %%SPOOL%%2;', PIXEL,
    'duplicate', '%%SPOOL%%2', 'two spools are refused')

# ---- sinks

for value, message in (
        ('log/$beacon_site', 'absolute'),
        ('%%LOG%%/$beacon_nope', 'beacon_nope'),
        ('%%LOG%%/$uri', 'uri'),
        ('%%LOG%%/%Q', 'invalid template'),
        ('%%LOG%%/../x/$beacon_site', 'invalid template'),
        ('%%LOG%%/$beacon_site/../../x', 'invalid template'),
        ('%%LOG%%//x', 'invalid template'),
        ('/$beacon_site', 'invalid template'),
        ('%%LOG%%/x timezone=Mars/Olympus', 'invalid time zone'),
        ('%%LOG%%/x timezone=../../etc/passwd', 'invalid time zone'),
        ('%%LOG%%/x timezone=$beacon_nope', 'invalid time zone'),
        ('%%LOG%%/x sync=maybe', 'invalid "sync=maybe"'),
        ('%%LOG%%/x sync=0', 'invalid "sync=0"'),
        ('%%LOG%%/x sync=25h', 'a time of up to 1d'),
        ('%%LOG%%/x max_files=0', 'invalid number of files'),
        ('%%LOG%%/x max_files=x', 'invalid number of files'),
        ('%%LOG%%/x name=', 'invalid name'),
        ('%%LOG%%/x name=../x', 'invalid name'),
        ('%%LOG%%/x name=' + 'x' * 64, 'invalid name'),
        ('%%LOG%%/x nome=x', 'invalid parameter'),
        ('%%LOG%%/$beacon_field_nope', 'no "beacon_field" of that name'),
        ('%%LOG%%/x timezone=$beacon_field_nope',
         'no "beacon_field" of that name')):
    bad(RING + 'beacon_log ' + value + ';', PIXEL, message, 'beacon_log',
        'beacon_log refuses "%s"' % value.replace('%%LOG%%', 'LOG')[:48])
bad(RING + LOG + 'beacon_log %%LOG%%/2 name=log;', PIXEL,
    r'the sink in .*nginx.conf:\d+ is named "log" too', 'name=log',
    'two sinks of one name are refused')
bad(RING + LOG + 'beacon_log %%LOG%%/2;\nbeacon_log %%LOG%%/3 name=log-2;',
    PIXEL, 'is named "log-2" too', 'name=log-2',
    'also where one has its name by default')
for value, message in (('ids', 'absolute path of a file'),
                       ('/ids', 'in a directory'),
                       ('%%ROOT%%/ids/', 'absolute path of a file'),
                       ('%%ROOT%%/ids/x sync=off', 'invalid parameter')):
    bad(RING + 'beacon_ids ' + value + ';', PIXEL, message, 'beacon_ids',
        'beacon_ids refuses "%s"' % value.replace('%%ROOT%%', ''))

# ---- locations

for value, message in (
        ('beacon gif;', '"beacon" without "beacon_site"'),
        ('beacon jpeg; beacon_site s;', 'invalid value "jpeg"'),
        ('beacon gif yes; beacon_site s;', 'invalid parameter "yes"'),
        ('beacon off if=1;', 'invalid parameter "if=1"'),
        ('beacon gif; beacon gif; beacon_site s;', 'is duplicate'),
        ('beacon gif; beacon_site "";', 'is no site'),
        ('beacon gif; beacon_site .x;', 'is no site'),
        ('beacon gif; beacon_site _x;', 'is no site'),
        ('beacon gif; beacon_site a/b;', 'is no site'),
        ('beacon gif; beacon_site a; beacon_site b;', 'is duplicate'),
        ('beacon_visitor a; beacon_visitor b;', 'is duplicate'),
        ('beacon_field a 1; beacon_field a 2;', 'duplicate name "a"'),
        ('beacon_flag a 1; beacon_flag a 2;', 'duplicate name "a"'),
        ('beacon_field a-b 1;', 'invalid name "a-b"'),
        ('beacon_field ' + 'a' * 65 + ' 1;', 'invalid name'),
        ('beacon_flag "" 1;', 'invalid name ""'),
        ('beacon_flag macro 1;', '"macro" is a flag that beacond sets'),
        ('beacon_flag malformed 1;', 'is a flag that beacond sets'),
        ('beacon_max_args 0;', 'must be between 1 and 65535'),
        ('beacon_max_args 65536;', 'must be between 1 and 65535'),
        ('beacon_max_args x;', 'invalid number'),
        ('beacon_max_body x;', 'invalid value'),
        ('beacon_max_body 128k;', 'must fit an eighth of a lane: at most'),
        ('beacon_cookie "a b";', 'invalid cookie name "a b"'),
        ('beacon_cookie "a=b";', 'invalid cookie name'),
        ('beacon_cookie "";', 'invalid cookie name ""'),
        ('beacon_cookie a; beacon_cookie b;', 'is duplicate'),
        ('beacon_cookie __Host-a domain=x.example;',
         'refuse a "__Host-" cookie with "domain="'),
        ('beacon_cookie __host-a path=/ domain=x.example;',
         'refuse a "__Host-" cookie with "domain="'),
        ('beacon_cookie __Host-a path=/px;',
         'refuse a "__Host-" cookie with "path="'),
        ('beacon_cookie a expires=soon;', 'invalid parameter "expires=soon"'),
        ('beacon_cookie a expires=0;', 'invalid parameter "expires=0"'),
        ('beacon_cookie a expires=1y expires=2y;',
         'invalid parameter "expires=2y"'),
        ('beacon_cookie a domain=;', 'invalid parameter "domain="'),
        ('beacon_cookie a "domain=x;y";', 'invalid parameter'),
        ('beacon_cookie a path=x;', 'invalid parameter "path=x"'),
        ('beacon_cookie a "path=/;x";', 'invalid parameter'),
        ('beacon_cookie a partitioned=1;', 'invalid parameter'),
        ('beacon_cookie off if=1;', 'invalid parameter "if=1"'),
        ('beacon_cookie off; beacon_cookie a;', 'is duplicate'),
        ('beacon_ip none;', 'invalid value "none"'),
        ('beacon_gpc yes;', 'invalid value "yes"'),
        ('beacon_drop_args "";', 'invalid name ""'),
        ('beacon_keep_args ' + 'a' * 256 + ';', 'invalid name'),
        ('beacon_drop_args $arg_x;', 'without variables'),
        ('beacon_drop_args a b; beacon_keep_args c b;',
         'argument "b" is kept by "beacon_keep_args" in .*:[0-9]+ and dropped '
         'by "beacon_drop_args" in'),
        ('beacon_drop_args Email; beacon_keep_args eMAIL;',
         'argument "eMAIL" is kept'),
        ('beacon_status prometheus;', 'this version knows json'),
        ('beacon_status; beacon gif; beacon_site s;',
         'another directive answers'),
        ('beacon gif; beacon_site s; beacon_status;',
         'another directive answers'),
        ('beacon gif; beacon_site s; proxy_pass http://127.0.0.1:1;',
         'another directive answers'),
        ('empty_gif; beacon gif; beacon_site s;',
         'another directive answers'),
        ('beacon on;', '"beacon" without "beacon_site"'),
        ('beacon on; beacon gif; beacon_site s;', 'is duplicate: gif.*on'),
        ('beacon gif; beacon on; beacon_site s;', 'is duplicate: gif.*on'),
        ('beacon on; beacon empty; beacon_site s;', 'is duplicate: gif.*on'),
        ('beacon on; beacon_redirect https://a.example/; beacon_site s;',
         'cannot stand together with "beacon"'),
        ('beacon_redirect https://a.example/; beacon gif; beacon_site s;',
         'cannot stand together with "beacon_redirect"'),
        ('beacon_redirect https://a/; beacon_redirect https://b/;',
         'is duplicate'),
        ('beacon_redirect https://a.example/;',
         '"beacon_redirect" without "beacon_site"'),
        ('beacon_site s; beacon_redirect https://a/; proxy_pass http://[::1];',
         '"beacon_redirect" stands where another directive answers'),
        ('proxy_pass http://[::1]; beacon_redirect https://a/;',
         'another directive answers'),
        ('beacon_redirect $beacon_arg_to;', 'a client can choose the host'),
        ('beacon_redirect $arg_to;', 'a client can choose the host'),
        ('beacon_redirect https://$arg_to;', 'a client can choose the host'),
        ('beacon_redirect https://a.example$uri;',
         'a client can choose the host'),
        ('beacon_redirect https://a.example:$arg_p/;',
         'a client can choose the host'),
        ('beacon_redirect https:$uri;', 'a client can choose the host'),
        ('beacon_redirect $scheme://a.example/;',
         'a client can choose the host'),
        ('beacon_redirect $nope;', 'unknown "nope"|client can choose'),
        ('beacon_redirect /landing;', 'no absolute http or https URL'),
        ('beacon_redirect //a.example/;', 'no absolute http or https URL'),
        ('beacon_redirect "";', 'no absolute http or https URL'),
        ('beacon_redirect javascript:alert(1);',
         'no absolute http or https URL'),
        ('beacon_redirect https://u@a.example/;',
         'no absolute http or https URL'),
        ('beacon_redirect https://a.example/ allow=b.example;',
         'no "allow=" allows the host'),
        ('beacon_redirect $arg_to alow=a;', 'invalid parameter "alow=a"'),
        ('beacon_redirect $arg_to allow=a if=1 if=1;',
         'invalid parameter "if=1"'),
        ('beacon_redirect $arg_to allow=a.example allow=A.example;',
         'duplicate "allow=A.example"'),
        ('beacon_redirect $arg_to allow=*.a allow=*.a;',
         'duplicate "allow=\\*.a"'),
        ('beacon_redirect $arg_to allow=~;', 'invalid regex'),
        ('beacon_redirect $arg_to "allow=~(";', 'invalid regex'),
        *(('beacon_redirect $arg_to "allow=%s";' % host, 'is no host')
          for host in ('', '*', '*.', '.', 'a..b', 'www.*', '*.*.b', 'a.*.b',
                       'https://a.example', 'a.example/', 'a.example:443',
                       'a@b', '[::1]', '127.1', '0x7f', 'b\xc3\xbccher.de',
                       'a b', 'a\\b', 'a.example.', 'x' * 64)),
        ('beacon_cors * https://a.example;', 'is no origin'),
        ('beacon_cors off https://a.example;', 'is no origin'),
        ('beacon_cors *; beacon_cors *;', 'is duplicate'),
        *(('beacon_cors "%s";' % origin, 'is no origin')
          for origin in ('', 'null', 'a.example', '//a.example',
                         'https://a.example/', 'https://a.example/x',
                         'https://a.example?x', 'https://a.example:443',
                         'http://a.example:80', 'https://a:0', 'https://a:',
                         'https://a:x', 'https://a:65536', 'https://',
                         'https://*.example', 'https://u@a.example',
                         '://a', '1://a', 'ht_tp://a', 'https://[::1',
                         'https://a b', 'https://\xc3\xbc.example'))):
    bad(RING + LOG, 'location / { %s }' % value, message, 'location / {',
        'a location refuses "%s"' % value[:48])
bad(RING + LOG + 'beacon_keep_args e email;',
    'beacon_site s; beacon_drop_args email;\nlocation / { beacon gif; }',
    'argument "email" is kept', 'beacon_drop_args',
    'names of two levels that contradict each other are refused')
bad(RING + LOG, 'location / { %s }' % '\n'.join(
    'beacon_field f%d 1;' % i for i in range(65)), 'more than 64', 'f64 1',
    'more fields than a record holds are refused')
bad(RING + LOG, 'location / { %s }' % '\n'.join(
    'beacon_flag f%d 1;' % i for i in range(30)), 'more than 28', 'f28 1',
    'more flags than a record holds are refused')
like(check(RING + LOG,
           'location / { beacon gif if=$nope; beacon_site s; }')[1],
     'unknown "nope" variable', 'an unknown variable is refused')
like(check(RING + LOG, 'beacon gif;')[1], 'not allowed here',
     'beacon stands in locations only')

bad('', 'location / { beacon on; beacon_site s; return 200; }',
    '"beacon" without "beacon_ring"', 'beacon on',
    'beacon on without a ring is refused')
said = good(RING + LOG, 'location / { beacon_site s; beacon_redirect $arg_to '
            'allow=~a\\.example; }', 'a regex that is not anchored is accepted')
like(said, r'\[warn\].*does not begin with \^ and end with \$',
     'with a warning')
unlike(good(RING + LOG, 'location / { beacon_site s; beacon_redirect $arg_to '
            'allow=~^a\\.example$ allow=~.; }', 'one that is, too'),
       'does not begin with', 'without')

# ---- directories

for directive, path in (('beacon_log', '%%ROOT%%/no/way/$beacon_site'),
                        ('beacon_ids', '%%ROOT%%/no/way/ids'),
                        ('beacon_spool', '%%ROOT%%/no/way')):
    bad(RING + LOG + '%s %s;' % (directive, path), PIXEL,
        r'/no/way" cannot be made: there is no ".*/no"', path,
        '%s does not make two directories' % directive)
bad('beacon_ring %%RING%%/no/way;' + LOG, PIXEL, 'cannot be made: there is no',
    'beacon_ring', 'nor does beacon_ring')
good(RING + LOG + 'beacon_log %%LOG%%/a/$beacon_site;'
     'beacon_log %%LOG%%/a/b/$beacon_site;', PIXEL,
     'one that an earlier directive has made will do')

# ---- directories that others use

shared = os.path.join(env.root, 'shared')
os.mkdir(shared, 0o755)
with open(os.path.join(shared, 'theirs'), 'w'):
    pass
owner = os.stat(shared).st_uid
said = check(RING + 'beacon_log %s/$beacon_site.jsonl;\n' % shared)[1]
is_(os.stat(shared).st_uid, owner,
    'a log directory with the files of others is not given away')
if os.geteuid() == 0:
    like(said, 'the worker user may not write to',
         'it must be writable as it is')
else:
    skip('only root gives directories away')
bad('beacon_ring %s disk=on;\n' % shared + LOG, PIXEL,
    "holds files that are not a ring's", shared,
    'a ring is not put among the files of others')
is_(os.stat(shared).st_uid, owner, 'whose directory it stays')
os.unlink(os.path.join(shared, 'theirs'))
for name in ('ring.0123456789abcdef', 'live.places', 'beacon.json',
             'log.checkpoint', 'spy.sock', 'log.gone', 'kafka.dead',
             'kafka.parked', 'kafka.parked.hits.aside'):
    with open(os.path.join(shared, name), 'w'):
        pass
good('beacon_ring %s disk=on;\nbeacon_helper external;\n' % shared + LOG,
     PIXEL, 'but among its own, and those of its sinks')

done_testing()

#!/usr/bin/python3
"""The dashboard in its corners: streams that die unseen, logins that end, pages
that are hidden or held, filters that are none, answers that come late."""

import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_dashboard import Between, Dashboard, live_env   # noqa: E402

env = live_env(server='''
    location /other/ { beacon_live_view; beacon_live_sites *; }
    location = /other/page.json {
        default_type application/json;
        return 200 '{"v":1,"build":"0123456789abcdef","sees":true}';
    }
''')
env.start()
between = Between(free_port(), env.port)
page = Dashboard(env, between.port)
AWAY = between.answer('200 OK', 'Content-Type: application/json\r\n',
                      '{"v":1,"sees":true,"helper":false}')
page.before(page.FASTER + 'Object.assign(window.faster, {5000: 1000});')


def begin(path='/live/', **query):
    page.open(path, **{'site': 'shop', **query})
    page.live()


def settled(name):
    ok(env.wait_drained(), name)


def visible(selector):
    return page.run('return document.querySelector(args[0])'
                    '?.checkVisibility() ?? false', selector)


page.hits(3)
page.hit('blog', url='https://shop.example/b')

# ---- a row

page.hit(url='https://shop.example/row', e='signup', country='GR', headers={
    'User-Agent': 'Mozilla/5.0 (X11) Gecko/20100101 Firefox/140.0'})
begin()
page.wait(lambda: '/row' in page.pages(), 'a row')
like(''.join(row for row in page.rows() if '/row' in row),
     r'(?s)/row.*· signup.*GR.*Firefox', 'names the event and the browser')

# ---- streams

begin(filter='e=buy')
page.hit(e='buy', url='https://shop.example/b1')
page.wait(lambda: page.pages() == ['/b1'], 'a stream with a filter')
between.mute()
page.hits(2, e='buy', url='https://shop.example/b2')
page.hits(2)
settled('dies, and hits come')
polls = between.asked('/now')
page.wait(lambda: between.asked('/now') > polls + 1, 'which the numbers pass')
is_(page.pages(), ['/b1'], 'and the stream does not bring')
page.run('''
    // as if that much time had passed
    const real = performance.now.bind(performance);
    performance.now = () => real() + 60000;''')
page.wait(lambda: page.pages() == ['/b2', '/b2', '/b1'],
          'without a beat it is made anew, and brings them', 30)

script = page.before('Object.assign(window.faster, {180000: 500})')
between.answers['/stream?'] = between.answer('503 Busy')
begin()
page.wait(lambda: between.asked('wait=25'), 'streams are refused: it polls')
tries = between.asked('/stream?')
page.wait(lambda: between.asked('/stream?') > tries, 'and tries them again')
page.hit(url='https://shop.example/polled')
page.wait(lambda: '/polled' in page.pages(), 'hits come all the while')
del between.answers['/stream?']
between.answers['wait=25'] = between.answer('503 Busy')
page.hit(url='https://shop.example/streamed')
page.wait(lambda: '/streamed' in page.pages(), 'then by a stream again', 30)
page.live()
between.answers.clear()
page.after(script)

between.answers['/stream?'] = between.answer('503 Busy')
polls = between.asked('wait=25')
begin()
page.wait(lambda: between.asked('wait=25') > polls, 'it polls again')
page.hide()
page.hit(url='https://shop.example/unseen')
settled('a hit for a hidden page, which ends the poll')
polls = between.asked('wait=25')
page.run('await new Promise(done => setTimeout(done, 4000))')
is_(between.asked('wait=25'), polls, 'the next waits until it is seen')
page.hide(False)
page.wait(lambda: between.asked('wait=25') > polls, 'then they go on')
between.answers.clear()

# What ends by itself right after its beat: the waits that were waited for.
script = page.before('''
    window.waits = [];
    const real = setTimeout;
    window.setTimeout = (run, ms, ...args) => real(() => {
        if (ms % 1)
            waits.push(ms);
        run();
    }, ms, ...args);''')
between.answers['/stream?'] = between.answer(
    '200 OK', 'Content-Type: text/event-stream\r\n',
    'event: beat\ndata: {}\n\n')
page.open(site='shop')
page.wait(lambda: page.run('return Math.max(...waits)') > 2000,
          'streams that are cut after a beat are made anew ever later', 30)
between.answers.clear()
page.live('and one that lasts is live')
page.after(script)

# ---- paused

begin()
page.run("document.getElementById('pause').click()")
page.hits(3)
page.wait(lambda: '3 hits waiting' in page.state(), 'paused')
page.run('window.faster[30000] = 50')
before = page.rows()
page.hide()
page.run('await new Promise(done => setTimeout(done, 500))')
between.mute()                          # whatever is open by now
page.hits(4)
settled('hits meanwhile')
page.hide(False)
page.wait(lambda: '7 hits waiting' in page.state(),
          'all of them wait when it is seen again')
is_(page.rows(), before, 'nothing has moved')
page.run("document.getElementById('site').click()")
page.wait(lambda: 'blog' in page.text('#site-list'), 'another site')
page.run("[...document.querySelectorAll('#site-list li')].find("
         "li => li.innerText.startsWith('blog')).click()")
page.wait(lambda: page.visitors() == 1, 'has its numbers')
is_(page.run("return document.getElementById('pause')"
             ".getAttribute('aria-pressed')"), 'false', 'and is not paused')
unlike(page.text('#feed'), 'while this page was hidden',
       'what was of the first is not told of it')

# ---- a page in the background

script = page.before('''
    Object.defineProperty(document, 'hidden', {get: () => true,
                                               configurable: true});''')
page.open(site='shop')
is_(page.run('''
    await new Promise(done => setTimeout(done, 1000));
    return performance.getEntriesByType('resource').map(
        entry => entry.name).filter(name => name.includes('/v1/'));'''), [],
    'a page that nobody has seen yet asks for nothing')
page.after(script)
page.hide(False)
page.live('and is live once it is seen')

# ---- filters

many = ' '.join('a%d=1' % n for n in range(17))
page.open(site='shop', filter=many)
page.wait(lambda: page.phase() == 'wrong', 'a filter that is refused')
like(page.state() + page.text('#filter-said') + page.text('#feed-blank'),
     'not understood.*more than 16 filters.*more than 16',
     'is told, and why')
ok(page.visitors() > 0, 'the numbers are there')
page.hit(vid='one-more')
page.wait(lambda: page.visitors() == 8, 'and go on')
page.no_faults('axe-core finds nothing')
between.refuse = True
between.reset()
page.wait(lambda: page.phase() == 'down',
          'a server away is told there, too')
between.heal()
page.wait(lambda: page.phase() == 'wrong', 'then again what was wrong')
between.answers['page.json'] = AWAY
page.wait(lambda: 'beacond' in page.state(), 'beacond away is told there, too')
between.answers.clear()
page.wait(lambda: page.phase() == 'wrong', 'and that it is back')
page.run("document.getElementById('filter').select()")
page.type('row ')
page.live('another filter heals')
page.wait(lambda: page.pages() == ['/row'], 'and finds')
is_(page.run("return document.getElementById('filter').value"), 'row ',
    'a space at its end is left to who types')

begin(filter='e=nothing')
between.answers['page.json'] = AWAY
page.wait(lambda: page.phase() == 'down' and 'beacond' in page.state(),
          'beacond away is told with a filter that matches nothing')
between.answers.clear()
page.live('and that it is back')

LONG = 'https://shop.example/' + 'l' * 300
QUOTES = 'https://shop.example/a "quoted" \\ page'
for url in (LONG, QUOTES):
    page.hits(9, url=url)
    begin()
    start = urllib.parse.urlsplit(url).path[:8]
    page.wait(lambda: page.run('''
        const bar = [...document.querySelectorAll('#top-page .bar')].find(
            bar => bar.innerText.startsWith(args[0]));
        bar?.click();
        return Boolean(bar);''', start), 'a bar of ' + start)
    page.wait(lambda: len(page.pages()) == 9
              and all(text.startswith(start) for text in page.pages()),
              'shows its hits')
    ok(page.run("return document.querySelector('.bar[aria-pressed=true]')"
                "?.innerText.startsWith(args[0])", start), 'and is marked')
page.hit(url='https://shop.example/c?utm_campaign=may')
begin(filter='campaign=may')
page.wait(lambda: page.pages() == ['/c'], 'a campaign is found')
is_([head for head in between.heads if b'hits?' in head
     and b'fields=row' not in head], [], 'without a whole hit')

# ---- logins that end

LOGIN = 'Location: https://login.example/\r\n'
for name, answer in (
        ('a redirect', between.answer('302 Found', LOGIN)),
        ('401', between.answer('401 Who', 'WWW-Authenticate: Bearer\r\n')),
        ('403', between.answer('403 No')),
        ('a page', between.answer('200 OK', 'Content-Type: text/html\r\n',
                                  '<p>Your name?'))):
    begin()
    between.answers['/v1/'] = answer
    between.reset()
    page.wait(lambda: page.phase() == 'denied', 'a login ends, by ' + name)
    like(page.text('#blank'), 'not signed in|may not see', 'it says so')
    ok(not visible('#feed') and not page.rows(), 'and shows no more')
    between.answers.clear()
    page.live('signed in again, it goes on by itself')
    page.wait(lambda: len(page.rows()) > 3 and visible('#feed'),
              'with its hits')
unlike(page.run('return location.href'), 'login', 'it went nowhere')

begin()
between.answers['/v1/'] = between.answer('403 No')
between.reset()
page.wait(lambda: page.phase() == 'denied', 'who may not look')
polls = between.asked('/now')
page.run("for (const i of [1, 2, 3]) {"
         " dispatchEvent(new Event('online'));"
         " await new Promise(done => setTimeout(done, 300)); }")
page.wait(lambda: between.asked('/now') > polls + 3, 'asks more than once')
between.answers.clear()
page.live('and may look again')
page.wait(lambda: page.rows(), 'sees hits')
page.run('await new Promise(done => setTimeout(done, 3000))')
for name in ('/once', '/behind'):       # in turn: by two workers in the same
    page.hit(url='https://shop.example' + name)     # ms, either may be first
    page.wait(lambda: name in page.pages(), 'and new ones')
is_(page.pages().count('/once'), 1, 'each of them once')

begin()
between.answers['/v1/shop/'] = between.answer('404 Not Found')
between.answers['/v1/sites'] = between.answer(
    '200 OK', 'Content-Type: application/json\r\n', '{"v":1,"sites":[]}')
between.reset()
page.wait(lambda: page.phase() == 'empty', 'a store that began anew is empty')
between.refuse = True
between.reset()
page.wait(lambda: page.phase() == 'down', 'a server away is told there, too')
between.heal()
page.wait(lambda: page.phase() == 'empty', 'then it is empty again')
between.answers['page.json'] = AWAY
page.run("dispatchEvent(new Event('online'))")
page.wait(lambda: 'beacond' in page.text('#blank-text'),
          'beacond away is told there, too')
between.answers.clear()
page.live('until hits come')

# ---- late answers

script = page.before('''
    const real = fetch;
    const held = [];
    window.fetch = (url, ...rest) => /sites$/.test(url)
        ? new Promise(done => held.push(() => done(real(url))))
        : real(url, ...rest);
    window.release = () => held.forEach(go => go());''')
page.open()
page.run('''
    history.pushState(null, '', '?site=blog');
    dispatchEvent(new PopStateEvent('popstate'));''')
page.live('a site, while the list of sites is on its way')
page.run('release(); await new Promise(done => setTimeout(done, 500))')
is_((page.text('#site-name'), page.pages()), ('blog', ['/b']),
    'which comes too late to change it')
begin()
page.run("document.getElementById('site').click()")
page.wait(lambda: visible('#site-pop'), 'a picker whose list is on its way')
is_(page.text('#site-more'), 'loading', 'says so')
page.run('release()')
page.wait(lambda: 'blog' in page.text('#site-list'), 'the list comes')
page.key('Escape')
between.answers['v1/sites'] = between.answer('503 Service Unavailable')
page.key('ArrowDown')
page.run('release()')
ok('blog' in page.text('#site-list'), 'one that cannot be had leaves the list')
page.run("document.getElementById('site-find').value = 'none'")
page.wait(lambda: page.run("""
    document.getElementById('site-find').dispatchEvent(new Event('input'));
    return document.getElementById('site-more').textContent""")
          == 'the list cannot be had now', 'and none of it is no such site')
between.answers.clear()
page.key('Escape', 'ArrowDown')
page.wait(lambda: visible('#site-pop'), 'opened again')
CHOICE = "return document.querySelector('[aria-selected=true]')?.site"
is_(page.run(CHOICE), 'shop', 'it has the site that is shown')
page.key('ArrowDown')
is_(page.run(CHOICE), 'blog', 'keys choose another')
page.run("document.querySelector('#site-list li').old = true; release()")
page.wait(lambda: not page.run(
    "return document.querySelector('#site-list li').old"), 'a new list comes')
is_(page.run(CHOICE), 'blog', 'which leaves the choice')
page.key('Escape')
page.after(script)

# ---- told to those who listen, and to keys

begin()
page.run('''
    window.said = [];
    new MutationObserver(() => said.push(document.getElementById('state-said')
        .textContent)).observe(document.getElementById('state-said'),
        {childList: true, characterData: true, subtree: true});
    await new Promise(done => setTimeout(done, 2500));''')
is_(page.run('return said'), [], 'that it is live is nothing to tell')
between.refuse = True
between.reset()
page.wait(lambda: page.run('return said.join()') == 'Reconnecting',
          'that it reconnects is told')
between.heal()
page.wait(lambda: page.run('return said.join()') == 'Reconnecting,Live',
          'and that it is live again')
page.run("document.getElementById('feed').querySelector('.row').focus()")
page.run('''
    history.replaceState(null, '', '?site=shop&filter=row');
    dispatchEvent(new PopStateEvent('popstate'));''')
page.wait(lambda: page.pages() == ['/row'], 'the feed is cleared')
is_(page.run('return document.activeElement.id'), 'feed-scroll',
    'who was in it is in it')
page.key('ArrowDown')
is_(page.run('return document.activeElement.className'), 'row',
    'and goes on from there')

page.key('Enter')
page.wait(lambda: visible('#trail'), 'a trail')
page.run("document.querySelector('#feed .row').closest('li').remove()")
page.key('Escape')
page.wait(lambda: not visible('#trail'), 'closes')
page.wait(lambda: page.run('return document.activeElement.id')
          == 'feed-scroll', 'whose row is gone: the feed has the focus')

box = page.run('''
    const box = document.getElementById('site').getBoundingClientRect();
    return {x: box.x + 9, y: box.y + 9};''')


def click():
    for kind in ('mousePressed', 'mouseReleased'):
        page.chrome.command('Input.dispatchMouseEvent', type=kind,
                            button='left', clickCount=1, **box)


click()
page.wait(lambda: visible('#site-pop'), 'a click opens the picker')
click()
is_(visible('#site-pop'), False, 'another closes it')
click()
page.wait(lambda: visible('#site-pop'), 'and one more opens it')

# ---- what a browser may refuse, and odd addresses

asked = between.asked('dygraph.js')
between.answers['/dygraph.js'] = between.answer('502 Bad')
begin()
page.wait(lambda: between.asked('dygraph.js') > asked + 1,
          'a chart that did not come is asked for again', 30)
del between.answers['/dygraph.js']
page.wait(lambda: visible('#chart canvas'), 'and comes', 30)

page.chrome.console()
script = page.before('''
    for (const name of ['sessionStorage', 'localStorage'])
        Object.defineProperty(window, name, {get() {
            throw new DOMException('no', 'SecurityError');
        }});''')
begin('/other/')
page.wait(lambda: 'another version' in page.text('#notices'),
          'without storage it works')
page.run("document.getElementById('theme').click()")
page.after(script)
begin('//live/')
page.run("document.getElementById('filter').select()")
page.type('row')
page.wait(lambda: page.pages() == ['/row'], 'two slashes are an address, too')
like(page.run('return location.href'), r'//live/\?site=shop&filter=row$',
     'which is kept')
is_(page.complaints(), [], 'the console is quiet')
page.close()
between.stop()
done_testing()

#!/usr/bin/python3
"""The dashboard in a browser on live traffic: what it shows, and to whom."""

import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_dashboard import Dashboard, live_env, nasty     # noqa: E402

seed()
env = live_env(live='beacon_live size=64m;', server='''
    location /some/ {
        beacon_live_view;
        beacon_live_sites "blog wanted";
    }
    location /none/ {
        beacon_live_view;
    }
''')
env.start()
page = Dashboard(env)

# ---- nothing yet

page.open()
page.wait(lambda: page.phase() == 'empty', 'no site, no hit: it waits')
like(page.text('#blank'), r'(?s)No hits yet.*px\.example\.com/px\.gif',
     'and says what to paste')
page.no_faults('axe-core finds nothing on the empty page')
page.hit(url='https://shop.example/first')
page.live('the first hit brings it to life, by itself')
page.wait(lambda: page.pages() == ['/first'], 'and is shown')
page.wait(lambda: page.visitors() == 1, 'with its visitor')
like(page.chrome.driver.current_url, r'/live/\?site=shop$',
     'the address says what is shown')
is_(page.complaints(), [], 'the console has nothing to say')

page.open('/some/', site='wanted')
page.wait(lambda: page.phase() == 'empty', 'a site that is named but had no '
          'hit waits for it')
like(page.text('#blank'), 'wanted', 'by name')
page.hit(site='wanted', url='https://shop.example/w')
page.wait(lambda: page.pages() == ['/w'], 'and turns live')
page.open('/some/', site='shop')
page.wait(lambda: page.phase() == 'denied', 'a site that one may not see: '
          'it says so')
unlike(page.run('return document.body.innerText'), 'px\\.example|first',
       'and tells nothing else')
page.open('/some/', site='nonesuch')
said = page.wait(lambda: page.phase() == 'denied'
                 and page.text('#blank'), 'one that there is not')
page.open('/none/')
page.wait(lambda: page.phase() == 'denied', 'nobody\'s sites: it says so')
like(page.text('#blank'), 'no site that you may see', 'in words')
page.no_faults('axe-core finds nothing there')
page.chrome.console()

# ---- it moves

page.open(site='shop')
page.live()
page.hits(20, country='GR', ref='https://www.google.com/q', vid='anna',
          url='https://shop.example/cart?utm_campaign=autumn')
page.hits(6, country='DE', ref='https://shop.example/cart')
page.wait(lambda: page.visitors() == 8, 'the counter follows')
page.wait(lambda: any('/cart' in row for row in page.rows()[:4]) or
          any('/p/' in row for row in page.rows()[:4]), 'so does the feed')
page.wait(lambda: 'hits' in '\n'.join(page.texts('#feed .plus, #waiting'))
          or len(page.rows()) >= 27, 'more than a person reads is counted')
page.wait(lambda: page.texts('#top-page .bar')[0].split('\n')[-1] == '20',
          'the top pages, too')
total = page.run('''
    const bars = await fetch('v1/shop/now?window=1800').then(r => r.json());
    return bars.series.hits.reduce((a, b) => a + b);''')
is_(total, 27, 'the series has them all')
page.wait(lambda: page.run("return document.querySelectorAll('#chart canvas')"
                           ".length") >= 1, 'the chart is there')
BARS = '''
    // the height of the newest bar, in pixels of the canvas
    const canvas = [...document.querySelectorAll('#chart canvas')].find(c =>
        c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(
            v => v));
    const {width, height} = canvas;
    const data = canvas.getContext('2d').getImageData(0, 0, width, height)
        .data;
    let tall = 0;
    for (let x = Math.floor(width * 0.9); x < width; x++) {
        let n = 0;
        for (let y = 0; y < height; y++)
            n += data[(y * width + x) * 4 + 3] > 200;
        tall = Math.max(tall, n);
    }
    return tall;'''
ok(page.wait(lambda: page.run(BARS) > 20, 'the newest minute grows'),
   'to be seen')
like(page.run("return document.getElementById('chart')"
              ".getAttribute('aria-label')"), 'last 30 minutes: between',
     'and is told in words')
like(page.chrome.driver.title, r'^\d+ · shop', 'the title has the number')
for tab, kind, key in (('Referrers', 'referrer', 'google.com'),
                       ('Countries', 'country', 'Greece'),
                       ('Campaigns', 'campaign', 'autumn')):
    page.run('document.getElementById("tab-" + args[0]).click()', kind)
    page.wait(lambda: key in page.text('#top-' + kind), tab + ' are counted')
page.no_faults('axe-core finds nothing on the live page')
page.chrome.media(prefers_color_scheme='dark')
page.no_faults('nor in the dark')
page.chrome.media()

# ---- still under the pointer, paused

page.run('''document.getElementById('feed-scroll').dispatchEvent(
    new PointerEvent('pointerenter', {pointerType: 'mouse'}))''')
before = page.rows()
page.hits(5)
page.wait(lambda: page.text('#waiting') == '+5 hits',
          'under the pointer it only counts')
is_(page.rows(), before, 'and stands still')
page.run('''document.getElementById('feed-scroll').dispatchEvent(
    new PointerEvent('pointerleave', {pointerType: 'mouse'}))''')
page.wait(lambda: page.rows() != before, 'then it goes on')
page.wait(lambda: page.text('#waiting') == '', 'with all that waited')
page.run("document.getElementById('pause').click()")
page.wait(lambda: page.phase() == 'paused', 'Pause pauses')
before = page.rows(), page.visitors()
page.hits(7, vid='bob')
page.wait(lambda: '7 hits waiting' in page.state(), 'and counts what waits')
is_((page.rows(), page.visitors()), before, 'nothing moves meanwhile')
page.no_faults('axe-core finds nothing while paused')
page.run("document.getElementById('pause').click()")
page.wait(lambda: len(page.rows()) >= len(before[0]) + 7, 'then all is shown')

# ---- filters, and the address

page.hit(e='signup', url='https://shop.example/signup')
page.open(site='shop', filter='e=signup')
page.wait(lambda: page.pages() == ['/signup'],
          'an address with a filter shows what it says')
is_(page.run("return document.getElementById('filter').value"), 'e=signup',
    'which is in the field')
page.hit(e='other', url='https://shop.example/other')
page.hit(e='signup', url='https://shop.example/signup2')
page.wait(lambda: page.pages() == ['/signup2', '/signup'],
          'new hits go through it, too')
page.open(site='shop')
page.live()
page.wait(lambda: len(page.texts('#top-page .bar')) > 1, 'bars are there')
page.run('''[...document.querySelectorAll('#top-page .bar')].find(
    bar => bar.innerText.startsWith('/cart')).click()''')
page.wait(lambda: page.pages() and set(page.pages()) == {'/cart'},
          'a click on a bar filters')
is_(urllib.parse.unquote(page.chrome.driver.current_url.split('?')[1]),
    'site=shop&filter=page=/cart', 'as the address says')
page.run('''[...document.querySelectorAll('#top-page .bar')].find(
    bar => bar.innerText.startsWith('/cart')).click()''')
page.wait(lambda: len(set(page.pages())) > 1, 'another click ends that')
for text, good in (('country=DE', lambda p: len(p) >= 6 and '/cart' not in p),
                   ('visitor=anna', lambda p: set(p) == {'/cart'}),
                   ('campaign=autumn', lambda p: set(p) == {'/cart'}),
                   ('signup', lambda p: set(p) == {'/signup', '/signup2'}),
                   ('e=signup signup2', lambda p: p == ['/signup2']),
                   ('no-such-page', lambda p: p == [])):
    page.open(site='shop', filter=text)
    page.live('the filter %s is taken' % text)
    page.wait(lambda: good(page.pages()), 'and shows what it wants')
like(page.text('#feed-blank'), 'No hit', 'nothing found: it says so')

# ---- a visitor's trail

page.open(site='shop', filter='visitor=anna')
page.live()
page.wait(lambda: len(page.rows()) == 20, 'all that a visitor did')
page.run("document.querySelector('#feed .row').click()")
page.wait(lambda: page.run("return document.querySelector("
                           "'[role=dialog]').open"), 'a click opens a dialog')
page.wait(lambda: len(page.texts('.steps .page')) == 20, 'with the trail')
like(page.text('#trail-body'), r'(?s)20 hits.*google\.com.*Greece',
     'and the visitor')
times = page.run("return [...document.querySelectorAll('.steps time')]"
                 ".map(t => t.dateTime)")
is_(times, sorted(times), 'in time order')
page.no_faults('axe-core finds nothing in the dialog')
page.key('Escape')
page.wait(lambda: not page.run("return document.querySelector("
                               "'[role=dialog]').open"), 'Escape closes it')

# ---- by keyboard alone

page.open(site='shop')
page.live()
page.wait(lambda: len(page.rows()) > 5, 'rows to walk through')
ok(page.tab_to('Site'), 'the picker is reached')
page.key('Enter')
page.wait(lambda: len(page.texts('#site-list li')) >= 2, 'and opens')
page.type('want')
page.wait(lambda: len(page.texts('#site-list li')) == 1, 'it finds')
page.key('Enter')
page.wait(lambda: 'site=wanted' in page.chrome.driver.current_url,
          'and chooses')
page.live()
page.run('history.back()')
page.wait(lambda: page.text('#site-name') == 'shop', 'one goes back, too')
page.live()
page.wait(lambda: len(page.rows()) > 5, 'to what was there')
ok(page.tab_to('Filter'), 'the filter is reached')
page.type('country=DE')
page.key('Enter')
page.wait(lambda: 'country=DE' in page.chrome.driver.current_url
          and page.pages() and '/cart' not in page.pages(), 'and works')
ok(page.tab_to('Pause'), 'so is Pause')
page.key(' ')
page.wait(lambda: page.phase() == 'paused', 'which pauses')
page.key(' ')
page.wait(lambda: page.phase() == 'live', 'and goes on')
for _ in range(12):
    page.key('Tab')
    if page.run("return document.activeElement.className") == 'row':
        break
is_(page.run("return document.activeElement.className"), 'row',
    'a row takes the focus')
first = page.focused()
page.key('ArrowDown')
isnt(page.focused(), first, 'arrows go to the next')
page.hits(3, country='DE')
page.wait(lambda: page.text('#waiting') == '+3 hits', 'the feed waits for it')
page.key('Enter')
page.wait(lambda: page.texts('.steps .page'), 'Enter opens the trail')
page.key('Escape')
page.wait(lambda: page.run("return document.activeElement.className") == 'row',
          'the focus comes back')
ok(page.tab_to('Pages'), 'the tabs are reached')
page.key('ArrowRight')
is_(page.focused(), 'Referrers', 'arrows choose among them')
ok(page.tab_to('www.google.com'), 'and their bars')

# ---- spoken, still, narrow

spoken = page.run('''
    const region = document.querySelector('[role=status]');
    let n = 0;
    new MutationObserver(() => n++).observe(region, {childList: true,
        characterData: true, subtree: true});
    await new Promise(done => setTimeout(done, 6000));
    return [n, region.textContent];''')
like(spoken[1], r'^\d+ visitors? now$', 'the number is spoken')
ok(spoken[0] <= 1, 'at most every 30 s')
is_(page.run("return document.querySelector('[role=log]')"
             ".getAttribute('aria-live')"), 'off', 'the feed is not')
page.chrome.media(prefers_reduced_motion='reduce')
page.open(site='shop')
page.live()
page.hits(3)
page.wait(lambda: len(page.rows()) > 3, 'with reduced motion it goes on')
is_(page.run('''
    let n = 0;
    const end = performance.now() + 1500;
    while (performance.now() < end) {
        n = Math.max(n, document.getAnimations().length);
        await new Promise(requestAnimationFrame);
    }
    return n;'''), 0, 'and nothing is animated')
page.chrome.media()
for width in (320, 390, 768, 1280, 1920):
    page.chrome.size(width, 720)
    page.open(site='shop')
    page.live()
    page.wait(lambda: page.rows() and page.texts('#top-page .bar'),
              'all is there at %d pixels' % width)
    ok(page.run('return document.documentElement.scrollWidth'
                ' <= document.documentElement.clientWidth'),
       'nothing is wider')
    wide = page.run('''
        return [...document.querySelectorAll('body *')].filter(e => {
            const box = e.getBoundingClientRect();
            return box.width && !e.closest('.tabs, #site-pop, .unseen')
                && (box.right > innerWidth + 1 || box.left < -1);
        }).slice(0, 5).map(e => e.id || e.className || e.tagName);''')
    is_(wide, [], 'or cut off')
    if width in (320, 1920):
        page.no_faults('axe-core finds nothing at %d pixels' % width)
page.chrome.size(1280, 720)
ok(page.run("const box = document.querySelector('main')"
            ".getBoundingClientRect(); return document.documentElement"
            ".scrollHeight <= innerHeight && box.height > 300"),
   'at 1280 x 720 nothing needs scrolling')

# ---- what people send is text

texts = nasty()
for text in texts:
    raw = urllib.parse.quote(text.replace('\0', ''), safe='')
    env.get('/hit.gif?site=nasty&vid=%s&country=%s&title=%s&ref=%s&url=%s'
            '&utm_campaign=%s&e=%s' % ((raw,) * 7),
            {'Host': 'shop.example', 'User-Agent': text.encode().replace(
                b'\0', b'').replace(b'\x07', b'').replace(b'\x1b', b''),
             'Referer': 'https://x.example/%s?utm_campaign=%s' % (raw, raw)})
    env.get('/hit.gif?site=nasty&vid=%s&bot=%s' % (raw, raw),
            {'Host': 'shop.example', 'User-Agent': 'x',
             'Referer': 'https://x.example/%s?utm_campaign=%s' % (raw, raw)})
page.open(site='nasty')
page.live()
page.wait(lambda: len(page.rows()) >= 2 * len(texts), 'all of it is shown')
shown = page.run("return document.getElementById('feed').textContent")
for text in texts[:2] + texts[5:6] + texts[9:10] + texts[11:12]:
    text = text.replace('\0', '')
    ok(text.split('<')[-1][:12] in shown, 'as text: ' + repr(text))
for n in range(2 * len(texts)):
    page.run("document.querySelectorAll('#feed .row')[args[0]].click()", n)
    page.wait(lambda: page.run("return !document.querySelector("
                               "'#trail-body').innerText.includes('asking')"),
              'the trail of one opens')
    page.key('Escape')
for kind in ('referrer', 'country', 'campaign', 'page'):
    page.run('document.getElementById("tab-" + args[0]).click()', kind)
    for n in range(3):
        page.run('''document.querySelectorAll('#top-' + args[0] + ' .bar')
                    [args[1]]?.click()''', kind, n)
        page.live('a bar of them filters')
is_(page.run('return [window.evil ?? null, document.scripts.length, '
             'document.querySelectorAll("main img, main svg").length, '
             'document.title.includes("evil")]'), [None, 3, 0, False],
    'nothing of it has run, or made an element')
for text in texts:
    page.open(site=text.replace('\0', ''), filter=text.replace('\0', ''))
    page.wait(lambda: page.phase() in ('denied', 'empty', 'live', 'quiet'),
              'nor out of an address: ' + repr(text[:40]))
is_(page.run('return window.evil ?? null'), None, 'nothing ran')
said = page.complaints()
is_(said, [], 'no breach of the policy was even tried')

# ---- many sites

client = env.client()
for n in range(2000):
    client.request('/hit.gif?site=s%04d&vid=a' % n)
client.close()
page.open(site='s0007')
page.live('one of 2,000 sites is shown')
page.run("document.getElementById('site').click()")
page.wait(lambda: 'more' in page.text('#site-more'), 'the picker says how many '
          'there are')
ok(len(page.texts('#site-list li')) <= 100, 'and lists some')
page.no_faults('axe-core finds nothing in the picker')
page.run("document.getElementById('site-find').focus()")
page.type('s1987')
page.wait(lambda: [text.split('\n')[0] for text
                   in page.texts('#site-list li')] == ['s1987'],
          'it finds any of them')
page.key('Enter')
page.wait(lambda: page.text('#site-name') == 's1987', 'and shows it')
page.live()
is_(page.complaints(), [], 'the console is quiet to the end')
page.close()
done_testing()

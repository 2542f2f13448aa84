"""People for the demo: they come from somewhere, look at some pages of a site,
and go again.  Their hits are what a page's own script would send."""

import heapq
import random
import urllib.parse

AGENTS = [
    'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, '
    'like Gecko) Chrome/142.0.0.0 Safari/537.36',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 '
    '(KHTML, like Gecko) Version/18.1 Safari/605.1.15',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) '
    'AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 '
    'Safari/604.1',
    'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, '
    'like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36']
BOT = 'Mozilla/5.0 (compatible; examplebot/2.1; +https://bot.example/)'

COUNTRIES = {'GR': 24, 'DE': 16, 'US': 14, 'GB': 9, 'FR': 8, 'IT': 6, 'CY': 5,
             'NL': 4, 'JP': 3, 'BR': 3, 'IN': 2, '': 2}

# site: (share of people, pages and how much they are liked, events)
SITES = {
    'shop': (6, {'/': 9, '/c/165': 10, '/c/12/shoes': 6, '/p/8812': 5,
                 '/p/9911': 7, '/c/77/garden': 3, '/search': 3, '/cart': 4,
                 '/checkout': 2, '/help/returns': 1},
             ['add_to_cart', 'scroll', 'search']),
    'news': (3, {'/': 8, '/sport/7': 6, '/politics/elections': 7,
                 '/weather': 4, '/live/final': 5, '/culture/cafe-bar': 2},
             ['scroll', 'video']),
    'docs': (1, {'/': 4, '/install': 5, '/reference/api': 6, '/faq': 2},
             ['copy', 'search'])}

# where from, and how often; a campaign's visitors bring its name
SOURCES = [('', '', 9), ('https://www.google.com/', '', 9),
           ('https://duckduckgo.com/', '', 2), ('https://t.co/4xK1', '', 3),
           ('https://news.ycombinator.com/item?id=4711', '', 2),
           ('https://www.facebook.com/', 'autumn-sale', 3),
           ('https://www.google.com/', 'brand-search', 3),
           ('', 'newsletter-47', 3), ('https://price.example/c/165', '', 2)]


def choose(weights):
    return random.choices(list(weights), list(weights.values()))[0]


class Person:
    def __init__(self):
        self.site = random.choices(list(SITES),
                                   [s[0] for s in SITES.values()])[0]
        self.host = self.site + '.example'
        self.bot = random.random() < 0.04
        self.agent = BOT if self.bot else random.choice(AGENTS)
        self.country = choose(COUNTRIES)
        self.id = '%016x' % random.getrandbits(64)
        self.left = 1 + min(int(random.expovariate(1 / 5)), 30)
        source = random.choices(SOURCES, [s[2] for s in SOURCES])[0]
        self.referrer, self.campaign = source[:2]
        self.page = ''

    def hit(self):
        """(target, headers) of the next thing this person does."""
        _, pages, events = SITES[self.site]
        args = {'site': self.site, 'vid': self.id}
        if self.page and random.random() < 0.2:
            args['e'] = random.choice(events)
        else:
            args['ref'] = self.referrer if not self.page else ''
            self.page = 'https://%s%s' % (self.host, choose(pages))
            args['e'] = 'pageview'
        args['url'] = self.page
        if self.campaign:
            args['url'] += '?utm_campaign=' + self.campaign
            self.campaign = ''
        self.left -= 1
        return '/px.gif?' + urllib.parse.urlencode(args), {
            'Host': self.host, 'User-Agent': self.agent,
            'Referer': self.page, 'X-Demo-Country': self.country,
            'Accept': 'image/avif,image/webp,image/png,image/svg+xml,*/*'}

    def pause(self):
        return 1 if self.bot else random.expovariate(1 / 9) + 1


class Crowd:
    """As many people at a time as they stay for so many hits a second."""

    def __init__(self, rate, start=0.0):
        self.rate = rate
        self.number = 0
        self.queue = []                 # (when, number, person)
        for _ in range(int(rate * 7)):
            self.come(start, random.uniform(0, 10))

    def come(self, now, wait=0.0):
        self.number += 1
        heapq.heappush(self.queue, (now + wait, self.number, Person()))

    def due(self, now):
        """The hits of up to now, as (target, headers)."""
        while self.queue and self.queue[0][0] <= now:
            when, number, person = heapq.heappop(self.queue)
            yield person.hit()
            if person.left > 0:
                heapq.heappush(self.queue, (when + person.pause(), number,
                                            person))
            else:
                self.come(when, random.uniform(0, 2))

// The dashboard: one site, one stream of hits, one poll of the numbers.
import {Failure, get, path, sequence} from './api.js';
import {Bars} from './bars.js';
import {Chart} from './chart.js';
import {now, span, time} from './clock.js';
import {Feed} from './feed.js';
import {normal, parse, toggle} from './filter.js';
import {Picker} from './picker.js';
import {Stream} from './stream.js';
import {$, hide, hits, make, number, say} from './text.js';
import {Trail} from './trail.js';

const POLL = 5000;                      // ms between two numbers
const LOOK = 1800;                      // s the chart shows
const RECHECK = 300000;                 // ms until the whole chart again
const HIDDEN = 30000;                   // ms a hidden page keeps its stream
const SPEAK = 30000;                    // ms between two announcements
const BUILD = document.documentElement.dataset.build;

const feed = new Feed((hit, row) => trail.open(here.site, hit, row));
const chart = new Chart();
const trail = new Trail();
const bars = new Bars((kind, key) => filterBy(toggle(here.filter, kind, key)));
const picker = new Picker(site => go({site}), () => listSites());

const here = {
    site: '', filter: '',
    parsed: parse(''),
    run: 0,                             // counts what was shown before
    stream: null, over: new AbortController(),
    phase: 'loading',                   // and why, in words:
    since: 0, why: '',
    last: 0,                            // time of the newest hit
    missed: 0, missedAt: 0,
    paused: 0,                          // since when
    now: null, charted: 0, stuck: 0,
    before: '',                         // cursor of the poll before
    left: ''                            // cursor when it was hidden
};

// ---- where we are: the address says it

function read() {
    const query = new URLSearchParams(location.search);
    return {site: query.get('site') || '', filter: query.get('filter') || ''};
}

function address(site, filter) {
    const query = new URLSearchParams();
    if (site)
        query.set('site', site);
    if (filter)
        query.set('filter', filter);
    const words = query.toString().replaceAll('%2F', '/')
        .replaceAll('%3D', '=');
    return location.pathname + (words ? '?' + words : '');
}

function go({site = here.site, filter = here.filter}) {
    history.pushState(null, '', address(site, filter));
    start(site, filter);
}

function filterBy(text) {
    $('filter').value = text;
    history.replaceState(null, '', address(here.site, text));
    start(here.site, text);
}

addEventListener('popstate', () => {
    const {site, filter} = read();
    start(site, filter);
});

// ---- phases: what the page says of itself

function phase(name, why = '') {
    if (here.phase !== name)
        here.since = now();
    here.phase = name;
    here.why = why;
    paint();
}

const down = failure => {
    if (['live', 'loading'].includes(here.phase))
        phase('down', failure?.status ? failure.message : '');
};

function paint() {
    const quiet = here.phase === 'live' && here.now && !here.now.hits;
    const blank = here.phase === 'empty' || here.phase === 'denied';
    const name = here.paused && here.phase === 'live' ? 'paused'
        : quiet ? 'quiet' : here.phase;
    if (document.body.dataset.phase !== name)
        document.body.dataset.phase = name;
    hide($('main'), blank);
    hide($('blank'), !blank);
    say($('state-text'), {
        loading: () => 'starting',
        live: () => here.missedAt && now() - here.missedAt < 60000
            ? 'live · missed ' + hits(here.missed) : 'live',
        quiet: () => here.last
            ? 'quiet · last hit ' + span(now() - here.last) + ' ago'
            : 'quiet',
        down: () => 'reconnecting · since ' + time(here.since)
            + (here.why ? ' · ' + here.why : ''),
        paused: () => 'paused since ' + time(here.paused) + ' · '
            + hits(feed.waiting) + ' waiting',
        empty: () => 'waiting for the first hit',
        denied: () => 'nothing to see'
    }[name]());
}

function title() {
    const count = here.now && here.phase !== 'denied'
        && here.phase !== 'empty' ? number(here.now.visitors) + ' · ' : '';
    const text = count + (here.site ? here.site + ' – ' : '') + 'beacon';
    if (document.title !== text)
        document.title = text;
}

// ---- a site

function start(site, filter) {
    const again = site === here.site;
    here.run++;
    here.over.abort();
    here.over = new AbortController();
    here.stream?.stop();
    here.stream = null;
    Object.assign(here, {site, filter, parsed: parse(filter), stuck: 0,
                         before: ''});
    feed.clear();
    bars.mark(filter);
    if ($('filter').value !== filter)
        $('filter').value = filter;
    say($('filter-said'), '');
    say($('feed-window'), filter ? 'filtered, newest on top'
                                 : 'newest on top');
    picker.name(site);
    if (!again) {
        Object.assign(here, {now: null, charted: 0, last: 0, missedAt: 0});
        chart.clear();
        bars.clear();
        for (const id of ['visitors', 'rate'])
            say($(id), '–');
    }
    if (here.phase !== 'live' || !again)
        phase('loading');
    begin(here.run);
}

// Asks for all at once, then listens; tries again until it can.
async function begin(run) {
    const {signal} = here.over;
    const gone = () => run !== here.run;
    for (let wait = 250; !gone(); wait = Math.min(5000, wait * 2)) {
        try {
            if (!here.site)
                await choose();
            if (gone())
                return;
            if (here.site) {
                const first = await beginning(signal);
                if (gone())
                    return;
                listen(first, run);
                return;
            }
        } catch (failure) {
            if (gone())
                return;
            if (!await refused(failure))
                return;
        }
        if (here.phase === 'empty' || here.phase === 'denied')
            wait = Math.max(wait, 2000);
        await visible();
        await new Promise(done => setTimeout(done, wait));
    }
}

// The busiest of those there are.
async function choose() {
    const sites = await listSites();
    if (sites.length) {
        sites.sort((a, b) => b.visitors - a.visitors || b.hits - a.hits);
        here.site = sites[0].site;
        picker.name(here.site);
        history.replaceState(null, '', address(here.site, here.filter));
    } else {
        await blank(null);
    }
}

async function beginning(signal) {
    const numbers = get(path(here.site, 'now', {window: 300}), {signal});
    const feedAt = get(path(here.site, 'hits', [['limit', 60],
        ...here.parsed.query]), {signal});
    feedAt.catch(() => {});             // judged below
    const answer = await numbers;
    show(answer);
    performance.mark('beacon-useful');
    return feedAt;
}

function listen(first, run) {
    const {parsed} = here;
    const newest = sequence(first.next);
    const guess = !parsed.args.length
        ? i => first.next.replace(/\d+$/, newest - first.hits.length + 1 + i)
        : () => '';
    const shown = [];
    first.hits.forEach((raw, i) => {
        const hit = normal(raw);
        hit.id = guess(i);
        here.last = Math.max(here.last, hit.time || 0);
        if (parsed.match(hit))
            shown.push(hit);
    });
    feed.fill(shown);
    if (here.left?.split('.')[0] === first.next.split('.')[0])
        feed.mark(hits(newest - sequence(here.left))
                  + ' came while this page was hidden', 'told');
    here.left = '';
    if (!newest && !here.now.hits) {
        blank(null);
    } else {
        phase('live');
    }
    blankFeed();
    here.stream = new Stream(here.site, parsed.query, first.next, {
        hit: (raw, id) => run === here.run && arrived(raw, id),
        gap: n => run === here.run && gap(n),
        reset: () => run === here.run && reset(),
        up: () => run === here.run && up(),
        down: failure => run === here.run && lost(failure)
    });
    whole();
    checkPage();
    poll();
}

function arrived(raw, id) {
    const hit = normal(raw);
    hit.id = id;
    here.stuck = 0;
    if (hit.time > here.last)
        here.last = hit.time;
    if (!here.parsed.args.length && here.now
        && (!id || sequence(id) > sequence(here.now.cursor)))
        chart.add(hit.time);
    if (here.phase === 'empty' || here.now && !here.now.hits)
        poll();                         // the first one: show it now
    if (here.phase === 'empty' || here.phase === 'loading')
        phase('live');
    if (here.parsed.match(hit)) {
        feed.add(hit);
        blankFeed();
    }
}

function blankFeed() {
    const text = feed.list.childElementCount || feed.waiting ? ''
        : here.filter ? 'No hit of those still stored matches “'
            + here.filter + '”. New ones will.'
            : 'No hits yet.';
    say($('feed-blank'), text);
    hide($('feed-blank'), !text);
}

function gap(n) {
    if (!n)
        return;
    const fresh = now() - here.missedAt < 60000;
    here.missed = n + (fresh ? here.missed : 0);
    here.missedAt = now();
    feed.mark('missed ' + hits(n), 'missed');
    paint();
}

function reset() {
    feed.mark('the live store began anew; hits before this are not in it',
              'missed');
    here.charted = 0;
    poll();
}

function up() {
    if (here.phase === 'down') {
        phase('live');
        here.charted = 0;
        poll();
        checkPage();
    }
}

// A site that may not be seen any more ends a stream, too: the poll knows.
function lost(failure) {
    down(failure);
    poll();
}

// ---- the numbers

let timer = 0;

function poll() {
    clearTimeout(timer);
    timer = setTimeout(tick, 0);
}

async function tick() {
    clearTimeout(timer);
    const {run, over: {signal}} = here;
    if (document.hidden || !here.stream)
        return;
    try {
        const answer = await get(path(here.site, 'now', {window: 300}),
                                 {signal});
        if (run !== here.run)
            return;
        show(answer);
        stuck(answer);
        if (here.phase === 'live' && here.parsed.args.length)
            here.stream.reached(here.before);
        here.before = answer.cursor;
        if (here.phase === 'down' && here.stream.open && !here.away)
            phase('live');
        else if (here.phase === 'down')
            here.stream.retry();
        if (now() - here.charted > RECHECK)
            whole();
        await asleep();
    } catch (failure) {
        if (run !== here.run)
            return;
        if (failure.status && failure.status < 500
            && failure.status !== 429) {
            here.stream.stop();
            here.stream = null;
            await refused(failure);
            begin(run);
            return;
        }
        down(failure);
    }
    timer = setTimeout(tick, POLL);
}

function show(answer) {
    here.now = answer;
    if (!here.paused) {
        const count = number(answer.visitors);
        say($('visitors'), count);
        // long ones are smaller
        $('visitors').style.setProperty('--length', count.length);
        say($('rate'), number(rate(answer)));
        bars.show(answer.top || {});
        chart.take(answer.series);
        title();
        speak();
    }
    paint();
}

// Hits a minute of five; the answer's own rate is cut to hundredths a second.
const rate = answer => answer.hits >= 50
    ? Math.round(answer.hits / 5) : Math.round(answer.hits * 2) / 10;

async function whole() {
    const {run, over: {signal}} = here;
    here.charted = now();
    try {
        const answer = await get(path(here.site, 'now', {window: LOOK}),
                                 {signal});
        if (run === here.run && !here.paused)
            chart.take(answer.series);
    } catch {
        here.charted = 0;               // with the next poll
    }
}

// The store has hits that the stream did not bring: something between keeps
// it back.
function stuck(answer) {
    const {stream} = here;
    if (here.phase !== 'live' || stream.polls || here.parsed.args.length)
        return;
    const behind = sequence(answer.cursor) > sequence(stream.cursor)
        && answer.cursor.split('.')[0] === stream.cursor.split('.')[0];
    here.stuck = behind ? here.stuck + 1 : 0;
    if (here.stuck > 2)
        stream.usePolls();
}

// Nothing came for a while: is anybody there who would bring it?
async function asleep() {
    if (!here.last || now() - here.last < 10000) {
        here.away = false;
        return;
    }
    const page = await get('page.json', {signal: here.over.signal});
    upgraded(page);
    here.away = page.helper === false;
    if (here.away && here.phase === 'live')
        phase('down', 'beacond is away; hits wait for it');
    else if (page.helper && here.phase === 'down')
        phase('live');
}

let spoken = 0;

// For those who listen: the number, now and then.
function speak() {
    if (performance.now() - spoken < SPEAK && spoken)
        return;
    const text = number(here.now.visitors) + (here.now.visitors === 1
        ? ' visitor now' : ' visitors now');
    if ($('spoken').textContent !== text) {
        say($('spoken'), text);
        spoken = performance.now();
    }
}

// ---- nothing to show, and why

// True: worth another try.
async function refused(failure) {
    if (failure.name === 'AbortError')
        return false;
    if (failure.status === 404)
        await blank(failure);
    else if (failure.status === 400 && here.filter) {
        say($('filter-said'), 'This filter is not understood: '
            + failure.message);
        phase('live');
        return false;
    } else if (failure.status === 401 || failure.status === 403)
        nothing('denied', 'You may not see this', 'The server asks for leave '
                + 'to look. Sign in as you usually do, then load this page '
                + 'again.');
    else
        down(failure);
    return true;
}

async function blank() {
    const [page, sites] = await Promise.all([
        get('page.json').catch(() => ({sees: true})),
        listSites().catch(() => [])]);
    if (!page.sees)
        nothing('denied', 'There is no site that you may see here',
                'Whoever runs this server decides that by '
                + 'beacon_live_sites.');
    else if (!here.site || !sites.length
             || sites.some(one => one.site === here.site))
        nothing('empty', 'No hits yet', here.site
            ? 'Nothing has come for ' + here.site + ' so far.'
            : 'Nothing has come so far. A site is there with its first hit; '
                + 'put its name where SITE stands.', page);
    else
        nothing('denied', 'You cannot see this site', 'There is no site of '
                + 'that name here, or you may not see it. The list above has '
                + 'those that you may.');
}

function nothing(name, heading, text, page) {
    if (name === 'empty' && here.last)
        return;                         // a hit was faster
    say($('blank-title'), heading);
    say($('blank-text'), text);
    $('blank-pixel').hidden = !page;
    if (page)
        pixel(page.pixel);
    phase(name);
    title();
}

function pixel(url) {
    let full = url || '';
    if (full && !/[?&]site=/.test(full))
        full += (full.includes('?') ? '&' : '?') + 'site='
            + encodeURIComponent(here.site || 'SITE');
    const quoted = full.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
    say($('pixel'), full ? '<img src="' + quoted + '" alt="" width="1" '
        + 'height="1">' : 'The address of your pixel is not known here: '
        + 'beacon_live_view pixel=URL says it.');
    const link = $('pixel-link');
    const web = here.site && /^https?:\/\//i.test(full);
    link.parentElement.hidden = !web;
    if (web)
        link.href = full;
    say(link, full);
    $('copy').hidden = !full;
}

$('copy').addEventListener('click', async () => {
    const said = done => {
        say($('copy'), done);
        setTimeout(() => say($('copy'), 'Copy'), 2000);
    };
    try {
        await navigator.clipboard.writeText($('pixel').textContent);
        said('Copied');
    } catch {
        getSelection().selectAllChildren($('pixel'));
        said('Selected');
    }
});

async function listSites() {
    return (await get('v1/sites')).sites;
}

// ---- another version behind the page

async function checkPage() {
    try {
        upgraded(await get('page.json'));
    } catch {
        // whatever is wrong, others tell
    }
}

// Asks once for each build.
function upgraded(page) {
    const key = 'beacon-asked';
    if (!page.build || page.build === BUILD
        || page.build === sessionStorage.getItem(key))
        return;
    sessionStorage.setItem(key, page.build);
    const reload = make('button', '', 'Reload');
    const later = make('button', 'later', 'Not now');
    const notice = make('p', 'notice', make('span', '',
        'The server has another version than this page.'), reload, later);
    notice.setAttribute('role', 'alert');
    reload.addEventListener('click', () => location.reload());
    later.addEventListener('click', () => notice.remove());
    $('notices').replaceChildren(notice);
}

// ---- what people press

$('find').addEventListener('submit', event => {
    event.preventDefault();
    apply();
});

let typing = 0;
$('filter').addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(apply, 400);
});

function apply() {
    clearTimeout(typing);
    const text = $('filter').value.trim();
    if (text !== here.filter)
        filterBy(text);
}

$('pause').addEventListener('click', () => {
    here.paused = here.paused ? 0 : now();
    feed.paused = Boolean(here.paused);
    $('pause').setAttribute('aria-pressed', feed.paused);
    if (!here.paused) {
        feed.flush();
        here.charted = 0;
        poll();
    }
    paint();
});

feed.counts = () => {
    if (here.paused)
        paint();
};

$('theme').addEventListener('click', () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === 'dark'
        : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    try {
        localStorage.setItem('beacon-theme', root.dataset.theme);
    } catch {
        // for this time only
    }
});

// ---- the network, the page in the background, the passing of time

addEventListener('offline', () => down(new Failure(0)));
addEventListener('online', () => {
    here.stream?.retry();
    poll();
});

const visible = () => new Promise(done => {
    const look = () => {
        if (document.hidden)
            return;
        document.removeEventListener('visibilitychange', look);
        done();
    };
    document.addEventListener('visibilitychange', look);
    look();
});

let away = 0;
document.addEventListener('visibilitychange', () => {
    clearTimeout(away);
    if (document.hidden) {
        away = setTimeout(() => {
            here.stream?.stop();
            here.left = here.stream?.cursor;
        }, HIDDEN);
    } else if (here.left) {
        start(here.site, here.filter);
    } else {
        here.charted = 0;
        poll();
    }
});

// A page that the browser keeps for "back" keeps none of the few connections
// that a browser has to a host.
addEventListener('pagehide', () => {
    here.over.abort();
    here.stream?.stop();
});
addEventListener('pageshow', event => {
    if (event.persisted)
        start(here.site, here.filter);
});

let seconds = 0;
setInterval(() => {
    if (document.hidden)
        return;
    paint();
    if (++seconds % 2 === 0 && here.phase === 'live' && !here.paused)
        chart.draw();
}, 1000);

const {site, filter} = read();
start(site, filter);

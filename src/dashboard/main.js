// The dashboard: one site, one stream of hits, one poll of the numbers.
import {Failure, between, epoch, get, path, pause} from './api.js';
import {sequence, visible} from './api.js';
import {Bars} from './bars.js';
import {blank, checkPage, listSites, signedOut} from './blank.js';
import {Chart} from './chart.js';
import {now} from './clock.js';
import {Feed} from './feed.js';
import {normal, parse, toggle} from './filter.js';
import {Numbers} from './numbers.js';
import {Picker} from './picker.js';
import {down, here, missed, paint, phase} from './state.js';
import {Stream} from './stream.js';
import {$, hide, hits, painted, say} from './text.js';
import {Trail} from './trail.js';

const HIDDEN = 30000;                   // ms a hidden page keeps its stream
const FIRST_HITS = 60;
const FEW = 1000;                       // hits that are fetched after a while

const feed = new Feed((hit, row) => trail.open(here.site, hit, row));
const chart = new Chart();
const trail = new Trail();
const bars = new Bars((kind, key) => filterBy(toggle(here.filter, kind, key)));
const numbers_ = new Numbers(chart, bars, failure => turnedAway(failure));
const picker = new Picker(site => go({site}), () => listSites());

here.waiting = () => feed.waiting;

// ---- where we are: the address says it

function read() {
    const query = new URLSearchParams(location.search);
    return {site: query.get('site') || '', filter: query.get('filter') || ''};
}

// With its origin: a path may begin with two slashes.
function address(site, filter) {
    const query = new URLSearchParams();
    if (site)
        query.set('site', site);
    if (filter)
        query.set('filter', filter);
    const words = query.toString().replaceAll('%2F', '/')
        .replaceAll('%3D', '=');
    return location.origin + location.pathname + (words ? '?' + words : '');
}

function go({site = here.site, filter = here.filter}) {
    history.pushState(null, '', address(site, filter));
    start(site, filter);
}

function filterBy(text) {
    history.replaceState(null, '', address(here.site, text));
    start(here.site, text);
}

addEventListener('popstate', () => {
    const {site, filter} = read();
    start(site, filter);
});

// ---- a site

// left: the cursor where a hidden page hung up.
function start(site, filter, left = '') {
    const again = site === here.site;
    stop();
    here.run++;
    here.over = new AbortController();
    Object.assign(here, {site, filter, parsed: parse(filter), left: ''});
    if (!again)
        hold(0);
    if (!left || !here.paused)
        feed.clear();
    bars.mark(filter);
    if ($('filter').value.trim() !== filter)
        $('filter').value = filter;
    say($('filter-said'), '');
    say($('feed-window'), filter ? 'filtered, newest on top'
                                 : 'newest on top');
    picker.name(site);
    if (!again) {
        Object.assign(here, {last: 0, missedAt: 0});
        numbers_.clear();
    }
    if (here.phase !== 'live' || !again)
        phase('loading');
    begin(left);
}

function stop() {
    here.over.abort();
    here.stream?.stop();
    here.stream = null;
    numbers_.stop();
}

// Asks for all at once, then listens; tries again until it can.
async function begin(left = '') {
    const {run} = here;
    for (let wait = 250; ; wait = Math.min(5000, wait * 2)) {
        await visible();
        if (run !== here.run)
            return;
        try {
            if (!here.site)
                await choose();
            if (here.site && run === here.run) {
                const first = await beginning();
                await visible();
                if (run === here.run)
                    listen(first, left);
                return;
            }
        } catch (failure) {
            if (run !== here.run || !await refused(failure))
                return;
        }
        if (here.phase === 'empty' || here.phase === 'denied')
            wait = Math.max(wait, 2000);
        await pause(wait);
    }
}

// The busiest of those there are.
async function choose() {
    const {run, over: {signal}} = here;
    const sites = await listSites(signal);
    if (run !== here.run)
        return;
    if (sites.length) {
        sites.sort((a, b) => b.visitors - a.visitors || b.hits - a.hits);
        here.site = sites[0].site;
        picker.name(here.site);
        history.replaceState(null, '', address(here.site, here.filter));
    } else {
        await blank();
    }
}

async function beginning() {
    const {run, over: {signal}} = here;
    const answer = numbers_.ask();
    const first = get(path(here.site, 'hits', [
        ['limit', FIRST_HITS], ...here.parsed.query]), {signal});
    first.catch(() => {});              // judged below
    const found = await answer;
    if (run === here.run) {
        numbers_.show(found);
        await painted();                // all else comes behind it
        performance.mark('beacon-useful');
    }
    return first;
}

function listen(first, left) {
    const {run, parsed} = here;
    // what waits goes on waiting
    const waits = here.paused && epoch(left) === epoch(first.next);
    const came = between(left, first.next);
    const resumes = waits && came <= FEW;
    if (!waits)
        fill(first);
    if (came && !resumes)
        feed.mark(hits(came) + ' came while this page was hidden', 'told');
    if (waits && !resumes && !here.filter)
        feed.skip(came);
    if (!sequence(first.next) && !here.now.hits)
        blank();
    else
        phase('live');
    blankFeed();
    const ours = then => what => run === here.run && then(what);
    here.stream = new Stream(here.site, parsed.query,
                             resumes ? left : first.next, {
        hit: (raw, id) => run === here.run && arrived(raw, id),
        gap: ours(gap), reset: ours(reset), up: ours(up), down: ours(lost)
    });
    numbers_.anew();
    checkPage();
}

// The first hits.
function fill({hits: found, next}) {
    const newest = sequence(next);
    const id = i => here.parsed.args.length ? ''
        : epoch(next) + '.' + (newest - found.length + 1 + i);
    const shown = found.map((raw, i) => normal(raw, id(i)))
        .filter(hit => hit && (!here.parsed.match || here.parsed.match(hit)));
    for (const hit of shown)
        here.last = Math.max(here.last, hit.time || 0);
    feed.fill(shown);
}

// Many hits are only counted: none is read before it must.
function arrived(raw, id) {
    here.last = now();
    here.base = 'live';
    if (here.phase === 'empty' || here.now && !here.now.hits)
        numbers_.soon();                // the first one: show it now
    if (here.phase === 'empty' || here.phase === 'loading')
        phase('live');
    const {match} = here.parsed;
    const hit = match && normal(raw, id);
    if (match && (!hit || !match(hit)))
        return;
    feed.add(hit || {raw, id});
    hide($('feed-blank'), true);
}

function blankFeed(text = here.filter
    ? 'No hit of those still stored matches “' + here.filter
        + '”. New ones will.' : 'No hits yet.') {
    const none = !feed.list.childElementCount && !feed.waiting;
    say($('feed-blank'), none ? text : '');
    hide($('feed-blank'), !none);
}

function gap(n) {
    if (!n)
        return;
    feed.mark('missed ' + hits(n), 'missed');
    missed(n);
}

function reset() {
    feed.mark('the live store began anew; hits before this are not in it',
              'missed');
    numbers_.anew();
}

function up() {
    if (here.phase === 'down') {
        phase(here.base);
        numbers_.anew();
        checkPage();
    }
}

// A site that may not be seen any more ends a stream, too: the poll knows.
function lost(failure) {
    down(failure);
    numbers_.soon();
}

// ---- refusals

// True: worth another try.
async function refused(failure) {
    if (failure.name === 'AbortError')
        return false;
    if (failure.signedOut)
        signedOut(failure.status);
    else if (failure.status === 404)
        await blank();
    else if (failure.status >= 400 && failure.status < 500
             && failure.status !== 429 && here.filter) {
        wrong(failure.message);
        return false;
    } else
        down(failure);
    return true;
}

// The numbers go on without a feed.
function wrong(why) {
    const text = 'This filter is not understood: ' + why + '.';
    say($('filter-said'), text);
    blankFeed(text);
    phase('wrong');
    numbers_.anew();
}

// In the middle of it.  Another poll may find the same: one alone begins anew.
async function turnedAway(failure) {
    stop();
    const run = ++here.run;
    here.over = new AbortController();
    feed.clear();
    await refused(failure);
    await pause(2000);
    if (run === here.run)
        begin();
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
    hold(here.paused ? 0 : now());
    if (!here.paused) {
        feed.flush();
        numbers_.anew();
    }
    paint();
});

// since: 0, or when
function hold(since) {
    here.paused = since;
    feed.paused = Boolean(since);
    $('pause').setAttribute('aria-pressed', feed.paused);
}

feed.counts = () => {
    if (here.paused)
        paint();
};

$('theme').addEventListener('click', () => {
    const {dataset} = document.documentElement;
    dataset.theme = dataset.theme === 'dark' ? 'light' : 'dark';
    try {
        localStorage.setItem('beacon-theme', dataset.theme);
    } catch {
        // for this time only
    }
});

// ---- the network, the page in the background, the passing of time

addEventListener('offline', () => down(new Failure(0)));
addEventListener('online', () => {
    here.stream?.retry();
    numbers_.soon();
});

let away = 0;
document.addEventListener('visibilitychange', () => {
    clearTimeout(away);
    if (document.hidden) {
        away = setTimeout(hangUp, HIDDEN);
    } else if (here.left) {
        start(here.site, here.filter, here.left);
    } else if (here.stream || here.base === 'wrong') {
        numbers_.anew();
    }
});

function hangUp() {
    here.stream?.stop();
    here.left = here.stream?.cursor || '';
}

// A page that the browser keeps for "back" keeps none of the few connections
// that a browser has to a host.
addEventListener('pagehide', stop);
addEventListener('pageshow', event => {
    if (event.persisted)
        start(here.site, here.filter);
});

let seconds = 0;
setInterval(() => {
    if (document.hidden)
        return;
    paint();
    if (++seconds % 2 === 0)
        numbers_.draw();
}, 1000);

const {site, filter} = read();
start(site, filter);

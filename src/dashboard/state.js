// Where the page is, and what it says of itself.
import {now, span, time} from './clock.js';
import {$, hide, hits, number, say} from './text.js';

const SPEAK = 30000;                    // ms between two announcements
const SETTLE = 1500;                    // ms that a state lasts, to be told
const RECENT = 60000;                   // ms that a gap stays in the words
export const AWAY = 'beacond is away; hits wait for it';

export const here = {
    site: '', filter: '',
    parsed: null,                       // the filter, understood
    run: 0,                             // counts what was shown before
    stream: null, over: new AbortController(),
    phase: 'loading',                   // and why, in words:
    since: 0, why: '',
    base: 'live',                       // what it is again after "down"
    last: 0,                            // time of the newest hit
    missed: 0, missedAt: 0,
    paused: 0,                          // since when
    now: null,                          // the numbers, as they came last
    left: '',                           // cursor when it was hidden
    waiting: () => 0                    // hits
};

// ---- phases

export function phase(name, why = '') {
    if (here.phase !== name)
        here.since = now();
    if (name !== 'down')
        here.base = name === 'loading' ? 'live' : name;
    here.phase = name;
    here.why = why;
    paint();
}

export function down(failure) {
    if (here.phase !== 'down' && here.phase !== 'denied')
        phase('down', failure?.status ? failure.message : '');
}

const words = {
    loading: () => 'starting',
    live: () => here.missedAt && now() - here.missedAt < RECENT
        ? 'live · missed ' + hits(here.missed) : 'live',
    quiet: () => here.last
        ? 'quiet · last hit ' + span(now() - here.last) + ' ago' : 'quiet',
    down: () => 'reconnecting · since ' + time(here.since)
        + (here.why ? ' · ' + here.why : ''),
    paused: () => 'paused since ' + time(here.paused) + ' · '
        + hits(here.waiting()) + ' waiting',
    wrong: () => 'this filter is not understood',
    empty: () => 'waiting for the first hit',
    denied: () => 'nothing to see'
};

export function paint() {
    const quiet = here.phase === 'live' && here.now && !here.now.hits;
    const blank = here.phase === 'empty' || here.phase === 'denied';
    const name = here.paused && here.phase === 'live' ? 'paused'
        : quiet ? 'quiet' : here.phase;
    if (document.body.dataset.phase !== name) {
        document.body.dataset.phase = name;
        announce(name);
    }
    hide($('main'), blank);
    hide($('blank'), !blank);
    say($('state-text'), words[name]());
}

export function missed(n) {
    here.missed = n + (now() - here.missedAt < RECENT ? here.missed : 0);
    here.missedAt = now();
    say($('state-said'), 'Missed ' + hits(n));
    paint();
}

// ---- for those who listen

let told = '';
let telling = 0;

// What lasts, and was not so before; blank pages are told by themselves.
function announce(name) {
    clearTimeout(telling);
    telling = setTimeout(() => {
        const text = {live: 'Live', quiet: 'Quiet', paused: 'Paused',
                      down: 'Reconnecting',
                      wrong: 'This filter is not understood'}[name];
        if (told && told !== name && text)
            say($('state-said'), text);
        if (name !== 'loading')
            told = name;
    }, SETTLE);
}

let spoken = 0;

// The number, now and then.
export function speak() {
    if (performance.now() - spoken < SPEAK && spoken)
        return;
    const text = number(here.now.visitors) + (here.now.visitors === 1
        ? ' visitor now' : ' visitors now');
    if ($('spoken').textContent !== text) {
        say($('spoken'), text);
        spoken = performance.now();
    }
}

export function title() {
    const count = here.now && here.phase !== 'denied'
        && here.phase !== 'empty' ? number(here.now.visitors) + ' · ' : '';
    const text = count + (here.site ? here.site + ' – ' : '') + 'beacon';
    if (document.title !== text)
        document.title = text;
}

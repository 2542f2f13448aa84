// Nothing to show, and why; another version behind the page.
import {get, path} from './api.js';
import {AWAY, here, phase, title} from './state.js';
import {$, make, say} from './text.js';

const BUILD = document.documentElement.dataset.build;

export const listSites = async signal =>
    (await get('v1/sites', {signal})).sites;

function nothing(name, heading, text, page) {
    if (name === 'empty' && here.last && here.stream)
        return;                         // a hit was faster
    say($('blank-title'), heading);
    say($('blank-text'), text);
    $('blank-pixel').hidden = !page;
    if (page)
        pixel(page.pixel);
    phase(name);
    title();
}

export function signedOut(status) {
    nothing('denied', status === 403 ? 'You may not see this'
        : 'You are not signed in', 'The server, or what stands before it, '
        + 'asks for leave to look. Sign in as you usually do, in another tab '
        + 'or by loading this page again; it goes on by itself.');
}

// No hit of the site, or no site: why.
export async function blank() {
    const {run, over: {signal}} = here;
    const [page, sites] = await Promise.all([
        get('page.json', {signal}).catch(() => ({sees: true})),
        listSites(signal).catch(() => [])]);
    if (run !== here.run)
        return;
    if (!page.sees)
        nothing('denied', 'There is no site that you may see here',
                'Whoever runs this server decides that by '
                + 'beacon_live_sites.');
    else if (!here.site || !sites.length
             || sites.some(one => one.site === here.site))
        nothing('empty', 'No hits yet', (here.site
            ? 'Nothing has come for ' + here.site + ' so far.'
            : 'Nothing has come so far. A site is there with its first hit; '
                + 'put its name where SITE stands.')
            + (page.helper === false ? ' ' + AWAY + '.' : ''), page);
    else
        nothing('denied', 'You cannot see this site', 'There is no site of '
                + 'that name here, or you may not see it. The list above has '
                + 'those that you may.');
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

// ---- another version behind the page

export async function checkPage() {
    try {
        upgraded(await get('page.json'));
    } catch {
        // whatever is wrong, others tell
    }
}

let offered = '';

// Asks once for each build.
export function upgraded({build}) {
    const key = 'beacon-asked';
    try {
        offered ||= sessionStorage.getItem(key);
    } catch {
        // storage is off: once for each loading
    }
    if (!build || build === BUILD || build === offered)
        return;
    offered = build;
    try {
        sessionStorage.setItem(key, build);
    } catch {
        // the same
    }
    const reload = make('button', '', 'Reload');
    const later = make('button', 'later', 'Not now');
    const notice = make('p', 'notice', make('span', '',
        'The server has another version than this page.'), reload, later);
    notice.setAttribute('role', 'alert');
    reload.addEventListener('click', () => location.reload());
    later.addEventListener('click', () => notice.remove());
    $('notices').replaceChildren(notice);
}

// The filter: words as a person writes them.
//
//     e=pageview          argument e of the hit: asked of the server
//     args.page=x         the same, for names that mean something else below
//     page=/cart referrer=google.com country=GR visitor=8f1c flag=bot
//     campaign=spring     utm_* of the page; wants whole hits
//     cart                anywhere in what the feed shows
//     page="/a b"         with spaces

const OWN = ['page', 'referrer', 'country', 'visitor', 'flag', 'campaign'];
const WORD = /([^\s="]+)=(?:"([^"]*)"|(\S*))|"([^"]*)"|(\S+)/g;

export function parse(text) {
    const args = [];
    const tests = [];
    let full = false;
    for (const [, name, quoted, bare, phrase, word] of text.matchAll(WORD)) {
        const value = quoted ?? bare;
        if (name === undefined) {
            const part = (phrase ?? word).toLowerCase();
            tests.push(hit => shown(hit).includes(part));
        } else if (name === 'flag') {
            tests.push(hit => hit.flags.includes(value));
        } else if (OWN.includes(name)) {
            full ||= name === 'campaign';
            tests.push(hit => hit[name] === value);
        } else {
            args.push([name.startsWith('args.') ? name : 'args.' + name,
                       value]);
        }
    }
    return {
        args, full,
        empty: !args.length && !tests.length,
        match: hit => tests.every(test => test(hit)),
        // what the server is asked for
        query: [...(full ? [] : [['fields', 'short']]), ...args]
    };
}

function shown(hit) {
    return [hit.page, hit.referrer, hit.visitor, hit.country, ...hit.flags]
        .join('\n').toLowerCase();
}

export function term(name, value) {
    return name + '=' + (/[\s"]/.test(value) || !value
        ? '"' + value.replaceAll('"', '') + '"' : value);
}

// The filter with that term; without it if it was there.
export function toggle(text, name, value) {
    const words = [...text.matchAll(WORD)].map(found => found[0]);
    const wanted = term(name, value);
    const others = words.filter(word => !word.startsWith(name + '='));
    return words.includes(wanted) ? others.join(' ')
        : [...others, wanted].join(' ');
}

export function has(text, name, value) {
    return [...text.matchAll(WORD)].some(found => found[0] === term(name,
                                                                    value));
}

// A hit as the page uses it, from its short form or its whole one.
export function normal(raw) {
    const text = value => typeof value === 'string' ? value : '';
    const hit = {
        time: Date.parse(raw.time),
        visitor: text(raw.visitor), page: text(raw.page),
        referrer: text(raw.referrer), country: text(raw.country),
        flags: Array.isArray(raw.flags) ? raw.flags.map(String) : [],
        campaign: ''
    };
    if (raw.v === undefined)
        return hit;
    const args = raw.args || {};
    const fields = raw.fields || {};
    const page = fields.page || args.url || raw.referer || '';
    hit.page = placeOf(page, raw.host);
    hit.referrer = placeOf(fields.referrer || args.ref || '', raw.host);
    hit.country = fields.country || '';
    hit.campaign = campaignOf(page);
    return hit;
}

// As the server shows it: the path on the own host, else host and path.
function placeOf(text, host) {
    const found = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)([^?#]*)/i.exec(text);
    if (!found)
        return text.split(/[?#]/)[0];
    const there = found[1].replace(/^.*@/, '').toLowerCase();
    return there.replace(/:\d+$/, '') === (host || '').toLowerCase()
        ? found[2] || '/' : there + (found[2] || '/');
}

function campaignOf(page) {
    const query = page.split('#')[0].split('?')[1] || '';
    for (const name of ['utm_campaign', 'utm_source', 'utm_medium'])
        for (const pair of query.split('&'))
            if (pair.startsWith(name + '=') && pair.length > name.length + 1)
                return pair.slice(name.length + 1);
    return '';
}

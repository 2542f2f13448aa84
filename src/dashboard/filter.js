// The filter: words as a person writes them.
//
//     e=pageview          argument e of the hit: asked of the server
//     args.page=x         the same, for names that mean something else below
//     page=/cart referrer=google.com country=GR visitor=8f1c flag=bot
//     browser=Firefox     what the agent says it is
//     campaign=spring     utm_* of the page
//     cart                anywhere in what the feed shows
//     page="/a \"b\""     with spaces, or quotes

const OWN = ['page', 'referrer', 'country', 'visitor', 'flag', 'campaign',
             'browser'];
const QUOTED = String.raw`"((?:[^"\\]|\\.)*)"`;
const WORD = new RegExp(String.raw`([^\s="]+)=(?:${QUOTED}|(\S*))`
                        + String.raw`|${QUOTED}|(\S+)`, 'g');
const CUT = 182;                        // bytes; keys of bars may be cut there

export function parse(text) {
    const args = [];
    const tests = [];
    for (const [, name, quoted, bare, phrase, word] of text.matchAll(WORD)) {
        const value = quoted === undefined ? bare : plain(quoted);
        if (name === undefined) {
            const part = (word ?? plain(phrase)).toLowerCase();
            tests.push(hit => shown(hit).includes(part));
        } else if (name === 'flag') {
            tests.push(hit => hit.flags.includes(value));
        } else if (OWN.includes(name)) {
            tests.push(cut(value) ? hit => hit[name].startsWith(value)
                                  : hit => hit[name] === value);
        } else {
            args.push([name.startsWith('args.') ? name : 'args.' + name,
                       value]);
        }
    }
    return {
        args,
        match: tests.length ? hit => tests.every(test => test(hit)) : null,
        // what the server is asked for
        query: [['fields', 'row'], ...args]
    };
}

const plain = text => text.replace(/\\(.)/g, '$1');

// The lists hold so many bytes of a text.
const cut = text => text.length > 20
    && new TextEncoder().encode(JSON.stringify(text)).length > CUT;

function shown(hit) {
    return [hit.page, hit.referrer, hit.visitor, hit.country, hit.event,
            hit.browser, hit.campaign, ...hit.flags].join('\n').toLowerCase();
}

export function term(name, value) {
    return name + '=' + (/[\s"]/.test(value) || !value
        ? '"' + value.replace(/["\\]/g, '\\$&') + '"' : value);
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
    const wanted = term(name, value);
    return text.includes(wanted)
        && [...text.matchAll(WORD)].some(found => found[0] === wanted);
}

// A hit as the page uses it, of its row's or short form, read or not; null:
// it is none.
export function normal(raw, id = '') {
    try {
        const {time, flags, ...texts} = typeof raw === 'string'
            ? JSON.parse(raw) : raw;
        return {visitor: '', page: '', referrer: '', country: '', event: '',
                campaign: '', browser: '', ...texts, id,
                flags: flags || [], time: Date.parse(time)};
    } catch {
        return null;
    }
}

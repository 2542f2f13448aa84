// Small things that make text and elements.  What comes from a hit is only
// ever text: make() and every caller go by textContent.

export const $ = id => document.getElementById(id);

// make('b', 'name', 'text', child...)
export function make(tag, name, ...content) {
    const element = document.createElement(tag);
    if (name)
        element.className = name;
    element.append(...content.filter(part => part !== null
                                             && part !== undefined));
    return element;
}

// Changes the page only where there is something to change.
export function say(element, text) {
    if (element.textContent !== text)
        element.textContent = text;
}

// The same for whether it is there at all.
export function hide(element, hidden) {
    if (element.hidden !== hidden)
        element.hidden = hidden;
}

const numbers = new Intl.NumberFormat('en');

export const number = n => numbers.format(n);

export const hits = n => number(n) + (n === 1 ? ' hit' : ' hits');

// Once what stands in the page by now is to be seen.
export const painted = () => new Promise(done => {
    requestAnimationFrame(() => setTimeout(done));
    setTimeout(done, 500);              // nobody looks
});

export const motion = matchMedia('(prefers-reduced-motion: no-preference)');

export function short(text, length) {
    const letters = [...text];
    return letters.length <= length ? text
        : letters.slice(0, length - 1).join('') + '…';
}

let regions = null;

export function country(code) {
    try {
        regions ||= new Intl.DisplayNames('en', {type: 'region',
                                                 fallback: 'none'});
        return regions.of(code) || '';
    } catch {
        return '';
    }
}

// A host alone needs no slash behind it.
export const place = text => /^[^/]+\/$/.test(text) ? text.slice(0, -1) : text;

// A person's directions of writing are kept from mixing with ours.
export function isolate(text, name) {
    const element = make('bdi', name);
    element.textContent = text;
    return element;
}

// A visitor's way through the site, in a dialog.
import {before, get, path} from './api.js';
import {element, now, span} from './clock.js';
import {normal} from './filter.js';
import {$, country, hits, isolate, make, place, short} from './text.js';

export class Trail {
    constructor() {
        this.dialog = $('trail');
        this.body = $('trail-body');
        $('trail-close').addEventListener('click', () => this.dialog.close());
        this.dialog.addEventListener('click', event => {
            if (event.target === this.dialog)   // the backdrop
                this.dialog.close();
        });
        this.dialog.addEventListener('close', () => {
            this.asked?.abort();
            this.body.replaceChildren();
            // its row may have left the feed meanwhile
            (this.from?.isConnected ? this.from : $('feed-scroll')).focus(
                {preventScroll: true});
        });
    }

    async open(site, hit, from) {
        this.asked?.abort();
        this.asked = new AbortController();
        this.from = from;
        const {signal} = this.asked;
        $('trail-title').replaceChildren('Visitor ', isolate(
            short(hit.visitor || 'not known', 40)));
        this.body.replaceChildren(make('p', 'blank', 'asking …'));
        if (!this.dialog.open)
            this.dialog.showModal();
        if (!hit.visitor) {
            this.fail('This hit does not say who it is from.');
            return;
        }
        const [row, whole] = await Promise.all([
            get(path(site, 'visitors/' + encodeURIComponent(hit.visitor)),
                {signal}).catch(error => error),
            this.whole(site, hit, signal)
        ]);
        if (signal.aborted)
            return;
        if (row instanceof Error)
            this.fail(row.status === 404
                ? 'The store has no more of this visitor.'
                : 'No answer; close this and try again.');
        else
            this.show(row, whole, hit);
    }

    // All that was recorded of the hit that was clicked, if it is still there.
    async whole(site, hit, signal) {
        if (!hit.id)
            return null;
        try {
            const answer = await get(path(site, 'hits', [
                ['since', before(hit.id)], ['limit', 1]]), {signal});
            const found = answer.hits[0];
            return found && Date.parse(found.time) === hit.time ? found
                : null;
        } catch {
            return null;
        }
    }

    fail(text) {
        this.body.replaceChildren(make('p', 'blank', text));
    }

    show(row, whole, hit) {
        const facts = make('dl', 'facts');
        const fact = (name, value) => {
            if (value !== '' && value !== null && value !== undefined)
                facts.append(make('div', '', make('dt', '', name),
                                  make('dd', '', value)));
        };
        const first = Date.parse(row.first);
        const last = Date.parse(row.last);
        fact('hits', hits(row.hits || 0));
        fact('first seen', element(first, true));
        fact('last seen', make('span', '', element(last, true), ' · '
                               + span(now() - last) + ' ago'));
        if (last > first)
            fact('here for', span(last - first));
        fact('came from', row.referrer
             && isolate(short(place(row.referrer), 200)));
        fact('entered at', row.entry && isolate(short(row.entry, 200)));
        fact('country', row.country && make('span', '', country(row.country)
            || '', ' ', isolate(row.country)));
        if (hit.browser || whole?.user_agent) {
            const name = isolate(hit.browser || short(whole.user_agent, 60));
            name.title = whole?.user_agent || '';
            fact('browser', name);
        }
        if (row.flags?.length)
            fact('flags', isolate(row.flags.join(' ')));
        this.body.replaceChildren(facts, this.steps(row.trail || [], hit,
                                                    row.hits || 0));
        const args = Object.entries(whole?.args || {});
        if (args.length)
            this.body.append(this.args(args));
    }

    // In time order, with how long each step took.
    steps(trail, hit, all) {
        const steps = trail.map(raw => normal(raw)).sort((a, b) => a.time - b.time);
        const list = make('ol', 'steps');
        if (all > steps.length)
            list.append(make('li', 'gap', hits(all - steps.length)
                             + ' before these, no longer stored'));
        steps.forEach((step, i) => {
            const gap = i ? step.time - steps[i - 1].time : 0;
            if (i && gap >= 1000)
                list.append(make('li', 'gap', span(gap) + ' later'));
            const item = make('li', step.time === hit.time
                                    && step.page === hit.page ? 'this' : '',
                              element(step.time, true),
                              isolate(short(step.page || '–', 300), 'page'));
            if (step.referrer)
                item.append(make('span', 'from', '← ',
                                 isolate(short(place(step.referrer), 120))));
            list.append(item);
        });
        return list;
    }

    args(pairs) {
        const list = make('dl', 'args');
        for (const [name, value] of pairs)
            list.append(make('dt', '', isolate(short(name, 80))),
                        make('dd', '', isolate(short(String(value), 500))));
        return make('details', '',
                    make('summary', '', 'Arguments of the hit you chose'),
                    list);
    }
}

// One poll: the numbers, the lists, the chart; and what they tell of the
// stream.
import {between, get, path} from './api.js';
import {blank, upgraded} from './blank.js';
import {now} from './clock.js';
import {AWAY, down, here, paint, phase, speak, title} from './state.js';
import {$, number, say} from './text.js';

const POLL = 5000;                      // ms between two
const WINDOW = {window: 300};           // s
const LOOK = {window: 1800};            // s the chart shows
const RECHECK = 300000;                 // ms until the whole chart again

export class Numbers {
    // refused(failure): an answer that is none of the network's faults
    constructor(chart, bars, refused) {
        this.chart = chart;
        this.bars = bars;
        this.refused = refused;
        this.timer = 0;
        this.stuck = 0;                 // polls that saw the stream behind,
        this.at = '';                   //   and still there
        this.away = false;              // nobody brings hits
        this.failed = false;            // the poll before
    }

    clear() {
        here.now = null;
        this.stuck = 0;
        this.stale();
        this.chart.clear();
        this.bars.clear();
        for (const id of ['visitors', 'rate'])
            say($(id), '–');
    }

    // The chart, too, is asked for anew.
    stale() {
        this.charted = 0;
    }

    anew() {
        this.stale();
        this.soon();
    }

    stop() {
        clearTimeout(this.timer);
    }

    soon() {
        this.stop();
        this.timer = setTimeout(() => this.tick(), 0);
    }

    async ask(query = WINDOW) {
        const {run, over: {signal}} = here;
        const answer = await get(path(here.site, 'now', query), {signal});
        return run === here.run ? answer : null;
    }

    async tick() {
        const {run} = here;
        if (document.hidden)
            return;
        try {
            const answer = await this.ask();
            if (!answer)
                return;
            this.show(answer);
            this.judge(answer);
            this.failed = false;
            if (now() - this.charted > RECHECK)
                this.whole();
            await this.asleep();
        } catch (failure) {
            if (run !== here.run)
                return;
            if (failure.signedOut || failure.status === 404) {
                this.refused(failure);
                return;
            }
            this.failed = true;
            down(failure);
        }
        if (run === here.run) {
            this.stop();
            this.timer = setTimeout(() => this.tick(), POLL);
        }
    }

    show(answer) {
        here.now = answer;
        if (!here.paused) {
            const count = number(answer.visitors);
            say($('visitors'), count);
            // long ones are smaller
            $('visitors').style.setProperty('--length', count.length);
            say($('rate'), number(rate(answer)));
            this.bars.show(answer.top || {});
            this.chart.take(answer.series);
            title();
            speak();
        }
        paint();
    }

    async whole() {
        this.charted = now();
        try {
            const answer = await this.ask(LOOK);
            if (answer && !here.paused)
                this.chart.take(answer.series);
        } catch {
            this.stale();               // with the next poll
        }
    }

    // The newest minute grows between two polls: by what the stream has seen
    // since, whatever its filter let through.
    draw() {
        if (here.now && here.phase === 'live' && !here.paused)
            this.chart.draw(here.stream
                ? between(here.now.cursor, here.stream.cursor) : 0);
    }

    // The server answers: is the stream there, too?
    judge(answer) {
        const {stream} = here;
        if (here.phase === 'down' && !this.away && listens())
            phase(here.base);
        if (!stream)
            return;
        // a stream that fails alone keeps its pace
        if (here.phase === 'down' && this.failed)
            stream.retry();
        stream.check();
        // the store has hits that the stream did not bring: something
        // between keeps it back (a filter may be why, too: beats tell then)
        const behind = !here.parsed.args.length && stream.open
            && stream.cursor === this.at
            && between(stream.cursor, answer.cursor);
        this.at = stream.cursor;
        this.stuck = behind ? this.stuck + 1 : 0;
        if (this.stuck > 2)
            stream.usePolls();
    }

    // Nothing came for a while: is anybody there who would bring it?
    async asleep() {
        if (now() - here.last < 10000) {
            this.away = false;
            return;
        }
        const {run, over: {signal}} = here;
        const page = await get('page.json', {signal});
        if (run !== here.run)
            return;
        upgraded(page);
        this.away = page.helper === false;
        if (here.phase === 'empty')
            blank();                    // says it, too
        else if (this.away && /live|wrong/.test(here.phase))
            phase('down', AWAY);
        else if (page.helper && here.phase === 'down' && listens())
            phase(here.base);
    }
}

const listens = () => here.stream ? here.stream.open : here.base === 'wrong';

// Hits a minute of five; the answer's own rate is cut to hundredths a second.
const rate = answer => answer.hits >= 50
    ? Math.round(answer.hits / 5) : Math.round(answer.hits * 2) / 10;

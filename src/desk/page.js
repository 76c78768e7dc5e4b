/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Times in the reader's zone, how long is left, and what has changed since the
 * page was opened. Without it the page is as true, and in UTC.
 */

addEventListener('DOMContentLoaded', () => {
    'use strict';

    const second = 1000, minute = 60 * second, hour = 60 * minute;
    const day = 24 * hour;
    const every = 15 * second, between = 2 * second;

    const main = document.querySelector('main');
    const told = document.querySelector('.told');
    const meta = document.querySelector('meta[name=now]');

    /* deadlines are the gateway's, whatever this device's clock says */

    const skew = meta ? Date.parse(meta.content) - Date.now() : 0;
    const now = () => Date.now() + skew;

    const hours = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
                    timeZoneName: 'short' };
    const clock = new Intl.DateTimeFormat('en', hours);
    const calendar = new Intl.DateTimeFormat('en', { year: 'numeric',
        month: 'short', day: 'numeric', ...hours });


    const span = (ms) =>
        ms >= day ? `${Math.floor(ms / day)} d ${Math.floor(ms % day / hour)} h`
        : ms >= hour ? `${Math.floor(ms / hour)} h `
                       + `${Math.floor(ms % hour / minute)} min`
        : ms >= minute ? `${Math.floor(ms / minute)} min`
        : `${Math.floor(ms / second)} s`;


    const left = (ms) =>
        ms <= 0 ? 'no time'
        : ms < hour && ms >= minute
          ? `${span(ms)} ${Math.floor(ms % minute / second)} s` : span(ms);


    function tick() {
        for (const time of document.querySelectorAll('time[datetime]')) {
            const at = Date.parse(time.dateTime), far = Math.abs(at - now());

            if (isNaN(at)) {
                continue;
            }

            time.title ||= time.textContent;

            const text = (far < day / 2 ? clock : calendar).format(at)
                + (far >= 7 * day || 'clock' in time.dataset ? ''
                   : at > now() ? ` (in ${span(far)})` : ` (${span(far)} ago)`);

            if (time.textContent !== text) {
                time.textContent = text;
            }
        }

        for (const until of document.querySelectorAll('[data-until]')) {
            const ms = Date.parse(until.dataset.until) - now();

            if (isNaN(ms)) {
                continue;
            }

            until.textContent = left(ms);
            until.classList.toggle('soon', ms < minute);
        }
    }


    /* The search is for days of the reader's zone, and sends their times. */

    function days() {
        const date = (at) => [at.getFullYear(), at.getMonth() + 1, at.getDate()]
            .map((n) => String(n).padStart(2, '0')).join('-');

        for (const day of document.querySelectorAll('[type=date][data-time]')) {
            const at = new Date(day.dataset.time);

            for (const label of day.labels) {
                label.textContent = label.textContent.replace(' (UTC)', '');
            }

            if (!isNaN(at)) {
                day.value = date(at);
            }

            day.form.addEventListener('formdata', ({ formData }) => {
                const clock = day.name === 'until' ? '23:59:59.999' : '00:00';

                if (day.value) {
                    formData.set(day.name, new Date(`${day.value}T${clock}`)
                                           .toISOString());
                }
            });
        }
    }


    /* One place after the other: what is typed or ticked elsewhere stays. */

    function renew(fresh) {
        for (const part of document.querySelectorAll('[data-part]')) {
            const other = fresh.querySelector(
                `[data-part="${part.dataset.part}"]`);

            if (other && !part.contains(document.activeElement)) {
                part.replaceWith(document.adoptNode(other));
            }
        }

        document.title = fresh.title;
    }


    /* What no longer waits stays where it was: nothing moves below a finger. */

    function cards(fresh) {
        const list = document.querySelector('ul.actions');
        const others = fresh.querySelectorAll('ul.actions > li');
        const waiting = new Set([...others].map((card) => card.id));
        let gone = 0, added = 0;

        for (const card of list.querySelectorAll(':scope > li:not(.gone)')) {
            if (!waiting.has(card.id)) {
                const note = document.createElement('p');

                gone++;
                card.classList.add('gone');
                note.textContent = 'No longer waiting for you.';
                card.prepend(note);

                for (const input of card.querySelectorAll('input')) {
                    input.checked = false;
                    input.disabled = true;
                }
            }
        }

        for (const other of others) {
            if (!document.getElementById(other.id)) {
                added++;
                list.append(document.adoptNode(other));
            }
        }

        if (gone || added) {
            told.textContent = [added && `${added} new, at the end.`,
                                gone && `${gone} no longer waiting.`]
                               .filter(Boolean).join(' ');
        }
    }


    /* Decided, withdrawn or expired: what was typed can still be copied. */

    function over(fresh) {
        if (!main.dataset.live || fresh.querySelector('main[data-live]')) {
            return;
        }

        delete main.dataset.live;
        told.textContent = 'The state changed while this page was open: '
            + document.querySelector('[data-part=tag]').textContent + '.';

        for (const button of document.querySelectorAll('form button')) {
            button.disabled = true;
        }

        for (const text of document.querySelectorAll('textarea')) {
            text.readOnly = true;
        }

        document.querySelector('.bar')?.remove();
    }


    let stream, looking, looked = 0;

    async function look() {
        if (looking || document.hidden) {
            return;
        }

        looking = true;

        try {
            await new Promise((done) =>
                setTimeout(done, Math.max(0, looked + between - Date.now())));

            const reply = await fetch(location.href,
                                      { headers: { Accept: 'text/html' } });
            const fresh = new DOMParser().parseFromString(await reply.text(),
                                                          'text/html');

            if (!reply.ok || !fresh.querySelector('main[data-look], [data-part]'))
            {
                throw new Error('not this page');
            }

            if (document.querySelector('ul.actions')) {
                cards(fresh);
                renew(fresh);

            } else {
                renew(fresh);
                over(fresh);
            }

            if (!fresh.querySelector('main[data-look]')) {
                delete main.dataset.look;
            }

            tick();
            document.body.classList.remove('stale');

        } catch (error) {
            document.body.classList.add('stale');

        } finally {
            looked = Date.now();
            looking = false;
        }

        listen();
    }


    /* Only where it is seen: a browser has few connections to one host. */

    function listen() {
        const wanted = main.dataset.live && !document.hidden;

        if (stream && (!wanted || stream.readyState === EventSource.CLOSED)) {
            stream.close();
            stream = null;
        }

        if (wanted && !stream) {
            stream = new EventSource(main.dataset.live);
            stream.addEventListener('changed', look);
        }
    }


    days();
    tick();
    setInterval(tick, second);

    if (main && 'look' in main.dataset) {
        listen();

        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) {
                document.querySelectorAll('.gone').forEach((e) => e.remove());
                look();
            }

            listen();
        });

        addEventListener('pagehide', () => {
            stream?.close();
            stream = null;
        });

        addEventListener('pageshow', listen);

        let turns = 0;

        setInterval(() => {
            const open = stream?.readyState === EventSource.OPEN;

            if ('look' in main.dataset && (!open || ++turns % 4 === 0)) {
                look();
            }
        }, every);
    }
});

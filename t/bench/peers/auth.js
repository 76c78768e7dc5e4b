// Copyright (C) ngx_http_approval_module contributors
//
// The auth_request peer: answers when Redis says, by keyspace notifications,
// that peer:ID was set. It does not verify, consume or record anything.
//
//   node auth.js PORT REDIS-SOCKET

'use strict';

const http = require('http');
const net = require('net');

const [port, redis] = process.argv.slice(2);
const waiting = new Map();
const prefix = '__keyspace@0__:peer:';

const command = (...words) => `*${words.length}\r\n`
    + words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('');

const commands = net.connect(redis);
const asked = [];
let replies = '';

commands.setNoDelay(true);
commands.write(command('CONFIG', 'SET', 'notify-keyspace-events', 'K$'));

commands.on('data', (data) => {
    replies += data;

    for (;;) {
        const simple = /^[+:-].*\r\n|^\$-1\r\n/.exec(replies);
        const bulk = /^\$\d+\r\n(.*)\r\n/.exec(replies);
        const found = simple || bulk;

        if (!found) {
            return;
        }

        replies = replies.slice(found[0].length);

        if (found[0][0] === '$') {
            const response = asked.shift();
            response.writeHead(bulk && bulk[1] === 'approve' ? 200 : 403);
            response.end();
        }
    }
});

const notices = net.connect(redis);
let lines = '';

notices.write(command('PSUBSCRIBE', `${prefix}*`));

notices.on('data', (data) => {
    lines += data;

    const end = lines.lastIndexOf('\r\n');

    for (const line of lines.slice(0, end).split('\r\n')) {
        const response = line.startsWith(prefix)
            && waiting.get(line.slice(prefix.length));

        if (response) {
            waiting.delete(line.slice(prefix.length));
            asked.push(response);
            commands.write(command('GET', `peer:${line.slice(prefix.length)}`));
        }
    }

    lines = lines.slice(end + 2);
});

const server = http.createServer((request, response) => {
    waiting.set(request.headers['x-id'], response);
});

server.requestTimeout = 0;
server.keepAliveTimeout = 0;
server.listen({ port, host: '127.0.0.1', backlog: 16384 });

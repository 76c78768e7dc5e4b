// Copyright (C) ngx_http_approval_module contributors
//
// A server of WebSocket on a free port of 127.0.0.1, which it prints, with a
// line for each connection; it greets, and answers each message:
//
//     node ws.mjs serve
//
// A client, told as a line of JSON; it sends "one", waits for the file GO,
// sends "two", and closes:
//
//     node ws.mjs URL GO

import { existsSync } from 'node:fs';
import { once } from 'node:events';

import { WebSocket, WebSocketServer } from 'ws';

const [url, go] = process.argv.slice(2);

if (url === 'serve') {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });

    server.on('listening', () => console.log(server.address().port));
    server.on('connection', (socket, request) => {
        console.log(`connection ${request.url}`);
        socket.send('hello');
        socket.on('message', (text) => socket.send(`${text}!`));
    });

} else {
    const told = { got: [] };
    const socket = new WebSocket(url, { headers: { 'X-Agent': 'agent-7' } });
    const ended = Promise.race([ once(socket, 'close'),
                                 once(socket, 'refused') ]);

    socket.on('message', (text) => {
        told.got.push(String(text));
        console.error(String(text));
    });

    socket.on('error', (error) => { told.error = error.message; });

    socket.on('unexpected-response', async (_, response) => {
        let body = '';

        for await (const part of response) {
            body += part;
        }

        told.status = response.statusCode;
        told.body = JSON.parse(body);
        socket.emit('refused');
    });

    socket.on('open', async () => {
        socket.send('one');

        while (!existsSync(go)) {
            await new Promise((done) => setTimeout(done, 50));
        }

        socket.send('two');
        socket.on('message', () => socket.close(1000));
    });

    [told.code] = await ended;
    console.log(JSON.stringify(told));
    process.exit();
}

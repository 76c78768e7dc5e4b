// Copyright (C) ngx_http_approval_module contributors
//
// An LLM provider of both APIs. It prints its port, and then of each request
// the method, the path and the key:
//
//     node provider.mjs FILE
//
// Of a stream the first part is sent at once, the second when FILE exists.

import { createServer } from 'node:http';
import { existsSync } from 'node:fs';

const choice = { index: 0, finish_reason: 'stop' };
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm',
                  stop_reason: 'end_turn',
                  usage: { input_tokens: 1, output_tokens: 1 } };

const answers = {
    '/v1/chat/completions': {
        id: 'c1', object: 'chat.completion', created: 1, model: 'm', usage,
        choices: [{ ...choice,
                    message: { role: 'assistant', content: 'ok' } }] },
    '/v1/responses': { id: 'r1', object: 'response', output: [] },
    '/v1/messages': { ...message, content: [{ type: 'text', text: 'ok' }] },
};

const completion = (content) => 'data: ' + JSON.stringify({
    id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm',
    choices: [{ index: 0, delta: { content } }] }) + '\n\n';

const event = (type, rest) => `event: ${type}\ndata: `
    + JSON.stringify({ type, ...rest }) + '\n\n';

const text = (text) => event('content_block_delta', {
    index: 0, delta: { type: 'text_delta', text } });

const streams = {
    '/v1/chat/completions': [completion('one'),
                             completion('two') + 'data: [DONE]\n\n'],
    '/v1/messages': [
        event('message_start', { message: { ...message, content: [] } })
        + event('content_block_start', {
            index: 0, content_block: { type: 'text', text: '' } })
        + text('one'),
        text('two') + event('content_block_stop', { index: 0 })
        + event('message_stop', {})],
};

async function stream(response, [first, second]) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(first);

    while (!existsSync(process.argv[2])) {
        await new Promise((done) => setTimeout(done, 20));
    }

    response.end(second);
}

const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    let body = '';

    for await (const part of request) {
        body += part;
    }

    console.log([request.method, pathname, request.headers.authorization ?? '',
                 request.headers['x-api-key'] ?? ''].join(' '));

    if (/"stream":true/.test(body)) {
        return stream(response, streams[pathname]);
    }

    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(answers[pathname] ?? { id: 'ok' }));
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));

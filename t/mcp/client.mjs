// Copyright (C) ngx_http_approval_module contributors
//
// One tool call by the official SDK's client, told as a line of JSON; before
// that, a line on stderr for each progress notification:
//
//     node client.mjs URL '{"name": ..., "arguments": ..., "options": ...}'
//
// "progress": false asks for none; "options" are the SDK's request options;
// "until" is a file that it waits for before it leaves; "token" is what it
// signs in with. With "notification" it sends that instead of a call. With
// "remote" it speaks stdio to mcp-remote, as clients on a desktop do.

import { existsSync } from 'node:fs';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport }
    from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport }
    from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, text] = process.argv.slice(2);
const call = JSON.parse(text);

const client = new Client({ name: 'agent-7', version: '1.0.0' });
const told = { progress: [], errors: [] };

client.onerror = (error) => told.errors.push(String(error));

const remote = new URL('node_modules/mcp-remote/dist/proxy.js',
                       import.meta.url).pathname;

await client.connect(call.remote
    ? new StdioClientTransport({
        command: process.execPath, stderr: 'ignore',
        args: [remote, url, '--allow-http', '--transport', 'http-only',
               '--header', `Authorization:Bearer ${call.token}`],
    })
    : new StreamableHTTPClientTransport(new URL(url), {
        requestInit: { headers: { 'X-Agent': 'agent-7',
                                  Authorization: `Bearer ${call.token}` } },
    }));

told.tools = (await client.listTools()).tools.length;

const options = { ...call.options };

if (call.progress !== false) {
    options.onprogress = (progress) => {
        told.progress.push(progress);
        console.error('progress');
    };
}

const start = Date.now();

try {
    if (call.notification) {
        await client.notification(call.notification);

    } else {
        told.result = await client.callTool(
            { name: call.name, arguments: call.arguments }, undefined, options);
    }

} catch (error) {
    told.error = { code: error.code, message: error.message,
                   data: error.data };
}

told.ms = Date.now() - start;

console.log(JSON.stringify(told));

while (call.until && !existsSync(call.until)) {
    await new Promise((done) => setTimeout(done, 50));
}

await client.close();

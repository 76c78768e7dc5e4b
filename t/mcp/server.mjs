// Copyright (C) ngx_http_approval_module contributors
//
// An MCP server built with the official SDK, on a free port of 127.0.0.1,
// which it prints:
//
//     node server.mjs json|events
//
// Tools: "db.drop" and "db.read" tell how often each was called; "db.steps"
// sends progress of its own before it ends. "list_orders" and "create_refund"
// are those of conf/examples/mcp-gateway.conf.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport }
    from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

const enableJsonResponse = process.argv[2] === 'json';
const calls = {};
const sessions = new Map();

function server() {
    const mcp = new McpServer({ name: 'tables', version: '1.0.0' });

    for (const name of ['db.drop', 'db.read', 'db.steps']) {
        mcp.registerTool(name, {
            description: name,
            inputSchema: { table: z.string() },
        }, async ({ table }, extra) => {
            calls[name] = (calls[name] ?? 0) + 1;

            for (let step = 1; name === 'db.steps' && step <= 3; step++) {
                await extra.sendNotification({
                    method: 'notifications/progress',
                    params: { progressToken: extra._meta.progressToken,
                              progress: step, total: 3, message: `step ${step}` },
                });
            }

            return { content: [{ type: 'text',
                                 text: `${name} ${table} ${calls[name]}` }] };
        });
    }

    for (const name of ['list_orders', 'create_refund']) {
        mcp.registerTool(name, {
            description: name,
            inputSchema: { order: z.string(), amount: z.number().optional() },
        }, async ({ order }) => {
            calls[name] = (calls[name] ?? 0) + 1;

            return { content: [{ type: 'text',
                                 text: `${name} ${order} ${calls[name]}` }] };
        });
    }

    return mcp;
}

async function transportOf(request) {
    const id = request.headers['mcp-session-id'];

    if (id) {
        return sessions.get(id);
    }

    const transport = new StreamableHTTPServerTransport({
        enableJsonResponse,
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (session) => sessions.set(session, transport),
    });

    await server().connect(transport);

    return transport;
}

const http = createServer(async (request, response) => {
    const transport = await transportOf(request);

    if (transport === undefined) {
        response.writeHead(404).end();
        return;
    }

    await transport.handleRequest(request, response);
});

http.listen(0, '127.0.0.1', () => console.log(http.address().port));

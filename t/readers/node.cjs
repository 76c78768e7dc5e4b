// Copyright (C) ngx_http_approval_module contributors
//
// Node's own server, URL and querystring; a body is JSON if it is like JSON:
//
//     node node.cjs PORT FILE

'use strict';

const http = require('http');
const qs = require('querystring');
const { tree, record, listening, TextDecoder } = require('./report.cjs');

const [port, file] = process.argv.slice(2);


function text(req, body) {
    const type = req.headers['content-type'] || '';
    const [, charset] = /charset="?([\w-]+)/i.exec(type) || [ 0, 'utf-8' ];

    return new TextDecoder(charset).decode(body);
}


function parsed(body) {
    try {
        return tree(JSON.parse(body));
    } catch (e) {
        return null;
    }
}


function answer(req, res, body) {
    const url = new URL(req.url, 'http://reader.example');
    const path = url.pathname;
    const json = parsed(body);

    const jar = {};
    for (const pair of (req.headers.cookie || '').split(';')) {
        const [ , name, value ] = /^\s*([^=]*)=(.*?)\s*$/.exec(pair) || [];
        if (name !== undefined)
            (jar[name] = jar[name] || []).push(value);
    }

    record(file, req, res, {
        paths: [ decodeURIComponent(path), path ],
        query: tree(qs.parse(url.search.slice(1))), cookies: jar,
        form: tree(json ? {} : qs.parse(body)), json });
}


listening(http.createServer((req, res) => {
    const chunks = [];

    req.on('data', chunk => chunks.push(chunk));
    req.on('end', () => {
        try {
            answer(req, res, text(req, Buffer.concat(chunks)));
        } catch (e) {
            res.statusCode = 400;
            res.end('not read\n');
        }
    });
}), port);

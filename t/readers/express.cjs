// Copyright (C) ngx_http_approval_module contributors
//
// Express with body-parser, qs, cookie-parser and method-override:
//
//     node express.cjs PORT FILE

'use strict';

const http = require('http');
const express = require('express');
const cookies = require('cookie-parser');
const override = require('method-override');
const { tree, record, listening } = require('./report.cjs');

const [port, file] = process.argv.slice(2);
const app = express();


// Routes go by neither letter case nor a last slash.  A rule's regex has its
// own letter case, so that the path is reported as it was spelled, too.

function route(path) {
    return (req, res) => {
        const raw = req.path;
        const [param] = Object.values(req.params);
        const spelled = raw.replace(/\/+$/, '') || '/';
        const lead = (path || '').replace('*', '');

        const fill = f => param === undefined || !path
              ? spelled : spelled.slice(0, lead.length) + f(param);
        const one = x => x.replace(/\//g, '%2F');

        const paths = [ fill(x => x), raw ];
        if (!lead.startsWith('/files'))
            paths.push(fill(one));

        const jar = {};
        for (const name of Object.keys(req.cookies || {}))
            jar[name] = [ String(req.cookies[name]) ];

        record(file, req, res, {
            paths, route: lead + paths[0].slice(lead.length),
            query: tree(req.query), cookies: jar,
            form: tree(req.is('json') ? {} : req.body),
            json: req.is('json') ? tree(req.body) : null });
    };
}


app.disable('x-powered-by');
app.disable('etag');

for (const name of [ 'X-HTTP-Method', 'X-HTTP-Method-Override',
                     'X-Method-Override' ])
    app.use(override(name));

app.use(cookies());
app.use(express.json({ type: [ 'json', '+json', 'text/plain' ] }));
app.use(express.urlencoded({ extended: true }));

app.all('/admin/del', route('/admin/del'));
app.all('/admin/users/:id', route('/admin/users/*'));
app.all('/v1/things/:id', route('/v1/things/*'));
app.all('/files/*', route('/files/*'));
app.all('*', route());

// what the framework does not read, it does not execute

app.use((err, req, res, next) => {
    res.status(err.status || 500).end('not read\n');
});

listening(http.createServer(app), port);

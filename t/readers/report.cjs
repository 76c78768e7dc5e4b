// Copyright (C) ngx_http_approval_module contributors
//
// What the readers in JavaScript share.  All readers report in one form:
//
//   probe place method target host   of the request
//   paths      what the framework takes for the path; and, where that goes by
//              no letter case, the route as it is written in the server
//   query form json   trees: v scalar, l list, c members, n what the language
//              makes of it as a number
//   cookies headers   NAME: [ VALUE... ]

'use strict';

const fs = require('fs');
const { TextDecoder } = require('util');


function tree(x) {
    if (x !== null && typeof x === 'object' && !Array.isArray(x)) {
        const c = {};

        for (const k of Object.keys(x))
            c[k] = tree(x[k]);

        return { n: [], c };
    }

    const n = [...new Set([Number(x), parseFloat(x), parseInt(x)])]
        .filter(Number.isFinite);

    if (Array.isArray(x))
        return { n, l: x.map(tree) };

    return x === null || x === undefined ? { n: [], v: null }
                                         : { n, v: String(x) };
}


function headers(req) {
    const all = {};

    for (let i = 0; i < req.rawHeaders.length; i += 2) {
        const name = req.rawHeaders[i].toLowerCase();
        (all[name] = all[name] || []).push(req.rawHeaders[i + 1]);
    }

    for (const name of Object.keys(all)) {
        const joined = String(req.headers[name]);
        if (!all[name].includes(joined))
            all[name].unshift(joined);
    }

    return all;
}


// one write a line, so that whoever reads the file sees whole lines

function record(file, req, res, more) {
    const line = JSON.stringify({
        probe: req.headers['x-probe'], place: req.headers['x-place'],
        method: req.method, target: req.originalUrl || req.url,
        host: req.headers.host, headers: headers(req), ...more }) + '\n';

    fs.appendFileSync(file, line);

    res.statusCode = 200;
    res.setHeader('Content-Type', 'application/json');
    res.end(line);
}


function listening(server, port) {
    server.keepAliveTimeout = 0;
    server.listen(port, '127.0.0.1');
}


module.exports = { tree, record, listening, TextDecoder };

# Copyright (C) ngx_http_approval_module contributors
#
# Flask on Werkzeug's server; JSON is read by force, as many applications do:
#
#     /usr/bin/python3 flask_app.py PORT FILE

import json
import logging
import math
import os
import sys

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler

port, file = sys.argv[1:]
out = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
app = Flask('reader', static_folder=None)
methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'FOO']


def numbers(x):
    found = []

    for read in (float, int, lambda v: int(v, 0)):
        try:
            n = float(read(x))
        except (TypeError, ValueError, OverflowError):
            continue

        if math.isfinite(n) and n not in found:
            found.append(n)

    return found


def tree(x):
    if isinstance(x, dict):
        return {'n': [], 'c': {k: tree(v) for k, v in x.items()}}

    if isinstance(x, list):
        return {'n': [], 'l': [tree(v) for v in x]}

    if x is None:
        return {'n': [], 'v': None}

    return {'n': numbers(x),
            'v': json.dumps(x) if not isinstance(x, str) else x}


def lists(values):
    return tree({k: values.getlist(k) for k in values})


def report(*paths):
    body = request.get_data(cache=True, parse_form_data=False)
    jar = {k: request.cookies.getlist(k) for k in request.cookies}
    names = {k.lower() for k in request.headers.keys()}

    line = json.dumps({
        'probe': request.headers.get('X-Probe'),
        'place': request.headers.get('X-Place'), 'method': request.method,
        'target': request.environ['RAW_URI'],
        'host': request.environ.get('HTTP_HOST'),
        'headers': {k: [request.headers[k]] for k in names},
        'paths': [*paths, request.path], 'query': lists(request.args),
        'form': lists(request.form), 'cookies': jar,
        'json': tree(request.get_json(force=True, silent=True))
                if body else None}) + '\n'

    os.write(out, line.encode())

    return line, 200, {'Content-Type': 'application/json'}


def route(rule, path):
    def view(**args):
        part = next(iter(args.values()), '')
        paths = [path.replace('*', part)]

        if 'id' in args:
            paths.append(path.replace('*', part.replace('/', '%2F')))

        return report(*paths)

    app.add_url_rule(rule, rule, view, methods=methods)


route('/admin/del', '/admin/del')
route('/admin/users/<id>', '/admin/users/*')
route('/v1/things/<id>', '/v1/things/*')
route('/files/<path:rest>', '/files/*')
route('/<path:rest>', '/*')
route('/', '/')


@app.errorhandler(Exception)
def not_read(err):
    if isinstance(err, HTTPException):
        return err

    return 'not read\n', 400


class Handler(WSGIRequestHandler):
    def log(self, *args):
        pass


logging.getLogger('werkzeug').setLevel(logging.ERROR)
app.run('127.0.0.1', int(port), threaded=True, request_handler=Handler)

// Copyright (C) ngx_http_approval_module contributors
//
// One unary call of gRPC by the official client, told as a line of JSON:
//
//     node grpc.mjs http://HOST:PORT/METHOD/... [SECONDS]
//
// The message is the whole path, and SECONDS the deadline. The server, which
// prints its port, and then each message:
//
//     node grpc.mjs METHOD...

import grpc from '@grpc/grpc-js';

function call(url, seconds) {
    const { host, pathname } = new URL(url);
    const client = new grpc.Client(host, grpc.credentials.createInsecure());
    const metadata = new grpc.Metadata();

    metadata.set('x-agent', 'agent-7');

    client.makeUnaryRequest(
        `/tests.Approval/${pathname.split('/')[1]}`, Buffer.from, String,
        pathname, metadata,
        seconds ? { deadline: Date.now() + seconds * 1000 } : {},
        (error, answer) => {
            console.log(JSON.stringify(error
                ? { code: grpc.status[error.code], message: error.details }
                : { answer }));

            process.exit(error ? 1 : 0);
        });
}

function serve(methods) {
    const server = new grpc.Server();

    for (const method of methods) {
        server.register(`/tests.Approval/${method}`, ({ request }, answer) => {
            console.log(request);
            answer(null, 'ok');
        }, Buffer.from, String, 'unary');
    }

    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(),
                     (error, port) => console.log(port));
}

const [first, ...more] = process.argv.slice(2);

if (first.startsWith('http:')) {
    call(first, ...more);

} else {
    serve([first, ...more]);
}

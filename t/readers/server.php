<?php

// Copyright (C) ngx_http_approval_module contributors
//
// PHP's own server, and what frameworks take from it: the path as the server
// normalized it, and as Symfony's first releases and their children read it;
// the method as Symfony and Laravel do.
//
//     READER_FILE=FILE php -S 127.0.0.1:PORT server.php

function tree($x)
{
    if (is_array($x)) {
        $c = array_map('tree', $x);

        return array_is_list($x) && $x ? ['n' => [], 'l' => $c]
                                       : ['n' => [], 'c' => (object) $c];
    }

    if ($x === null) {
        return ['n' => [], 'v' => null];
    }

    $n = [(float) $x, (float) intval($x, 0)];

    return ['n' => array_values(array_unique(array_filter($n, 'is_finite'))),
            'v' => is_bool($x) ? var_export($x, true) : (string) $x];
}


function values($map)
{
    return (object) array_map(function ($x) {
        return is_array($x) ? array_map('strval', array_filter($x, 'is_scalar'))
                            : [(string) $x];
    }, $map);
}


function path($target)
{
    return rawurldecode((string) (parse_url($target, PHP_URL_PATH) ?? ''));
}


function headers()
{
    $all = [];

    foreach (getallheaders() as $name => $value) {
        $name = strtolower($name);
        $cgi = 'HTTP_' . strtr(strtoupper($name), '-', '_');

        $all[$name] = array_values(array_unique(
            [$value, $_SERVER[$cgi] ?? $value]));

        // as $_SERVER has no other name for it

        $all[strtr($name, '_', '-')] ??= [$_SERVER[$cgi] ?? $value];
    }

    return $all;
}


$method = $_SERVER['REQUEST_METHOD'];

if ($method === 'POST') {
    $method = strtoupper($_SERVER['HTTP_X_HTTP_METHOD_OVERRIDE']
                         ?? $_SERVER['HTTP_X_HTTP_METHOD']
                         ?? $_POST['_method'] ?? $_GET['_method'] ?? $method);
}

$paths = [$_SERVER['SCRIPT_NAME'], path($_SERVER['REQUEST_URI'])];

foreach (['HTTP_X_ORIGINAL_URL', 'HTTP_X_REWRITE_URL'] as $name) {
    if (isset($_SERVER[$name])) {
        array_unshift($paths, path($_SERVER[$name]));
    }
}

$body = file_get_contents('php://input');
$json = json_decode($body, true);

$line = json_encode([
    'probe' => $_SERVER['HTTP_X_PROBE'] ?? null,
    'place' => $_SERVER['HTTP_X_PLACE'] ?? null,
    'method' => $method, 'target' => $_SERVER['REQUEST_URI'],
    'host' => $_SERVER['HTTP_HOST'] ?? null, 'headers' => headers(),
    'paths' => $paths, 'query' => tree($_GET), 'form' => tree($_POST),
    'json' => $json === null ? null : tree($json),
    'cookies' => values($_COOKIE)],
    JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR) . "\n";

file_put_contents(getenv('READER_FILE'), $line, FILE_APPEND);

header('Content-Type: application/json');
echo $line;

#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Ordinary traffic of real products, with the rules that somebody would write
# for them.  What no rule concerns reaches the upstream as it was sent; what one
# concerns is held, and reaches it so when it was approved.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $FORM = 'application/x-www-form-urlencoded';
my $UPLOAD = join "\r\n", '--b', 'Content-Disposition: form-data; name="file"; '
             . 'filename="r\'e (1).pdf"; filename*=UTF-8\'\'r%C3%A9.pdf',
             'Content-Type: application/pdf', '', "%PDF\0\xff;a=b&c[]=d",
             '--b--', '';

# a product, its rules, its requests: [WANT, METHOD, TARGET, HEADERS, BODY];
# WANT is "pass", "held" or "denied"

my @products = (
    [ gitlab => <<'EOF',
        rule delete  { match $request_method DELETE;
                       match $uri ~^/api/v4/projects/[^/]+$; require admins; }
        rule unprotect { match $request_method DELETE PATCH;
                         match $uri ~^/api/v4/projects/[^/]+/protected_;
                         require admins; }
EOF
        [ pass => GET => '/api/v4/projects/grp%2Fprj' ],
        [ pass => GET => '/api/v4/projects/grp%2Fprj/repository/files/'
                         . 'src%2Fmain%2Ec/raw?ref=a%2Fb' ],
        [ pass => POST => '/api/v4/projects/grp%2Fsub%2Fprj/merge_requests',
          [ 'Content-Type' => 'application/json' ], '{"title":"a/b"}' ],
        [ pass => DELETE => '/api/v4/projects/42/issues/3' ],
        [ pass => DELETE => '/api/v4/projects/grp%2Fprj/issues/3' ],
        [ pass => DELETE => '/api/v4/projects/1/repository/tags/v1%2E0' ],
        [ pass => PUT => '/api/v4/projects/7/variables/K?filter[env]=*' ],
        [ held => DELETE => '/api/v4/projects/42' ],
        [ held => DELETE => '/api/v4/projects/grp%2Fprj' ],
        [ held => DELETE => '/api/v4/projects/grp%2fsub%2fprj' ],
        [ held => DELETE => '/api/v4/projects/a%2Fb/protected_branches/x%2Fy' ],
    ],

    [ npm => <<'EOF',
        rule unpublish { match $request_method DELETE; match $uri ~/-rev/;
                         require admins; }
        rule publish   { match $request_method PUT; match $uri ^/@corp/;
                         require admins; }
EOF
        [ pass => GET => '/@scope%2fname' ],
        [ pass => GET => '/@corp%2Fname' ],
        [ pass => GET => '/@corp/name/-/name-1.0.0.tgz' ],
        [ pass => GET => '/-/package/@scope%2fname/dist-tags' ],
        [ pass => GET => '/-/v1/search?text=scope:corp%20keywords:a,b&size=2' ],
        [ pass => PUT => '/@other%2fname',
          [ 'Content-Type' => 'application/json' ], '{"_id":"@other/name"}' ],
        [ held => PUT => '/@corp%2fname',
          [ 'Content-Type' => 'application/json' ], '{"_id":"@corp/name"}' ],
        [ held => DELETE => '/@scope%2fname/-rev/1-abc' ],
    ],

    [ rabbitmq => <<'EOF',
        rule purge { match $request_method DELETE;
                     match $uri ~^/api/queues/[^/]+/[^/]+/contents$;
                     require admins; }
        rule vhost { match $request_method DELETE;
                     match $uri ~^/api/vhosts/[^/]+$; require admins; }
EOF
        [ pass => GET => '/api/queues/%2F/orders?msg_rates_age=60' ],
        [ pass => GET => '/api/queues/%2f' ],
        [ pass => PUT => '/api/exchanges/%2F/amq.topic',
          [ 'Content-Type' => 'application/json' ], '{"type":"topic"}' ],
        [ pass => POST => '/api/exchanges/%2F/amq.default/publish', [],
          '{"routing_key":"a","payload":"b","properties":{}}' ],
        [ pass => DELETE => '/api/queues/%2F/orders' ],
        [ pass => DELETE => '/api/bindings/%2F/e/x/q/y/~' ],
        [ held => DELETE => '/api/queues/%2F/orders/contents' ],
        [ held => DELETE => '/api/vhosts/%2F' ],
        [ held => DELETE => '/api/vhosts/prod' ],
    ],

    [ s3 => <<'EOF',
        rule bucket { match $request_method DELETE; match $uri ~^/[^/]+/?$;
                      require admins; }
        rule prod   { match $request_method PUT DELETE; match $uri ^/prod/;
                      require admins; }
EOF
        [ pass => GET => '/logs/a//b+c%20d%2Be.txt?versionId=x%2By' ],
        [ pass => GET => '/logs?list-type=2&prefix=a%2Fb%2F&delimiter=%2F'
                         . '&encoding-type=url' ],
        [ pass => GET => '/logs/a%252Fb' ],
        [ pass => GET => '/logs/folder/' ],
        [ pass => HEAD => '/prod/key' ],
        [ pass => PUT => '/logs/2024//x%7Ey/%E2%9C%93.bin',
          [ 'Content-Encoding' => 'aws-chunked', 'X-Amz-Content-Sha256' =>
            'STREAMING-UNSIGNED-PAYLOAD-TRAILER' ], "3\r\nabc\r\n0\r\n\r\n" ],
        [ pass => PUT => '/logs/copy', [ 'X-Amz-Copy-Source' => '/prod/a%2Bb' ],
          '' ],
        [ pass => POST => '/logs?delete', [ 'Content-Type' => 'text/xml' ],
          '<Delete><Object><Key>a//b</Key></Object></Delete>' ],
        [ pass => DELETE => '/logs/a//b+c' ],
        [ pass => DELETE => '/logs/a/b?versionId=1' ],
        [ held => DELETE => '/logs' ],
        [ held => PUT => '/prod/a//b+c', [], 'x' ],
        [ held => DELETE => '/prod/x%7Ey%2Bz' ],
    ],

    [ servlet => <<'EOF',
        rule admin { match $uri ^/app/admin/; require admins; }
        rule force { match $request_method POST; match $arg_force true;
                     require admins; }
EOF
        [ pass => GET => '/app/cart;jsessionid=0A1B2C?item=1&item=2' ],
        [ pass => POST => '/app/order;jsessionid=0A1B/confirm;v=1.2', [], '' ],
        [ pass => GET => '/app/search?q=a;b&page[size]=10&page[number]=2' ],
        [ pass => POST => '/app/x?a=1&a=2&forced=true', [], '' ],
        [ held => GET => '/app/admin/users;jsessionid=0A1B' ],
        [ held => GET => '/app;v=1/admin/users' ],
        [ held => POST => '/app/order;jsessionid=0A?force=true', [], '' ],
    ],

    [ odata => <<'EOF',
        rule delete { match $request_method DELETE;
                      match $uri ~^/odata/Orders\(; require admins; }
        rule export { match $arg_export ~.; require admins; }
EOF
        [ pass => GET => '/odata/Products(1)?$filter=Price%20gt%2020%20and%20'
          . "contains(Name,'a%2Fb')&\$select=Name,Price&\$expand=Category("
          . '$select=Name)&$count=true' ],
        [ pass => GET => "/odata/Orders(ID=1,Product='a%27%27b')/Items/\$ref" ],
        [ pass => GET => "/odata/Files('dir%2Fname')/\$value" ],
        [ pass => PATCH => "/odata/Customers('ALFKI')",
          [ 'Content-Type' => 'application/json;odata.metadata=minimal',
            'If-Match' => 'W/"1"' ], '{"Name":"x"}' ],
        [ pass => POST => '/odata/$batch',
          [ 'Content-Type' => 'multipart/mixed;boundary=batch_1' ],
          "--batch_1\r\nContent-Type: application/http\r\n\r\n"
          . "DELETE Orders(1) HTTP/1.1\r\n\r\n\r\n--batch_1--\r\n" ],
        [ pass => DELETE => "/odata/Customers('Orders(1)')" ],
        [ held => DELETE => '/odata/Orders(7)' ],
        [ held => DELETE => "/odata/Orders(ID=1,Product='a%2Fb')" ],
    ],

    [ graphql => <<'EOF',
        rule delete { match $request_method POST; match $uri /graphql;
                      match json:/operationName ~^Delete; require admins; }
EOF
        [ pass => POST => '/graphql', [ 'Content-Type' => 'application/json' ],
          '{"operationName":"List","query":"query List($n: Int) { orders(n: '
          . '$n) { id, ...f } }","variables":{"n":10}}' ],
        [ pass => POST => '/graphql',
          [ 'Content-Type' => 'application/json; charset=utf-8',
            Accept => 'application/graphql-response+json' ],
          '{"query":"{ a(b: \"\u00e9\") }"}' ],
        [ pass => GET => '/graphql?extensions=%7B%22persistedQuery%22%3A%7B'
                         . '%22version%22%3A1%7D%7D&variables={}' ],
        [ held => POST => '/graphql', [ 'Content-Type' => 'application/json' ],
          '{"operationName":"DeleteAll","query":"mutation DeleteAll { a }"}' ],
    ],

    [ fhir => <<'EOF',
        rule delete { match $request_method DELETE;
                      match $uri ~^/fhir/Patient/[^/]+$; require admins; }
        rule transaction { match $request_method POST; match $uri /fhir;
                           match json:/type transaction; require admins; }
EOF
        [ pass => GET => '/fhir/Patient?birthdate=ge1990-01-01&name:exact='
          . 'M%C3%BCller&_include=Observation:subject&identifier='
          . 'http%3A%2F%2Facme.org%7C12' ],
        [ pass => GET => '/fhir/Patient/1/$everything?_count=10' ],
        [ pass => GET => '/fhir/Patient/1/_history/2' ],
        [ pass => POST => '/fhir/Observation',
          [ 'Content-Type' => 'application/fhir+json; charset=UTF-8;'
                              . ' fhirVersion=4.0',
            'If-None-Exist' => 'identifier=a|b&x=%20' ],
          '{"resourceType":"Observation","valueQuantity":{"value":1.50}}' ],
        [ pass => POST => '/fhir/Patient/_search', [ 'Content-Type' => $FORM ],
          'name:exact=a&name:exact=b' ],
        [ pass => PATCH => '/fhir/Patient/1',
          [ 'Content-Type' => 'application/json-patch+json' ],
          '[{"op":"remove","path":"/name/0"}]' ],
        [ pass => POST => '/fhir',
          [ 'Content-Type' => 'application/fhir+json' ],
          '{"resourceType":"Bundle","type":"batch","entry":[]}' ],
        [ held => POST => '/fhir',
          [ 'Content-Type' => 'application/fhir+json; charset=utf-8' ],
          '{"resourceType":"Bundle","type":"transaction","entry":[]}' ],
        [ held => DELETE => '/fhir/Patient/a%7E1' ],
    ],

    [ files => <<'EOF',
        rule public { match $request_method POST PUT; match $uri ^/upload;
                      match $arg_public 1; require admins; }
        rule json   { match $uri /api/share; match json:/to external;
                      require admins; }
EOF
        [ pass => POST => '/upload?folder=a%2Fb',
          [ 'Content-Type' => 'multipart/form-data; boundary=b' ], $UPLOAD ],
        [ pass => PUT => '/upload/report%20(1).pdf',
          [ 'Content-Type' => 'application/octet-stream',
            'Content-Range' => 'bytes 0-3/4' ], "\0\xff\x1f\x8b" ],
        [ pass => PATCH => '/upload/tus/24e5',
          [ 'Content-Type' => 'application/offset+octet-stream',
            'Upload-Offset' => 70 ], '{"to":"external"' ],
        [ pass => POST => '/upload', [ 'Content-Type' => 'image/svg+xml',
                                       'Content-Encoding' => 'gzip' ],
          "\x1f\x8b\x08" ],
        [ held => POST => '/upload?public=1',
          [ 'Content-Type' => 'multipart/form-data; boundary=b' ], $UPLOAD ],
    ],

    [ soap => <<'EOF',
        rule delete { match $request_method POST; match $http_soapaction
                      ~*delete; require admins; }
EOF
        [ pass => POST => '/ws/Orders.asmx',
          [ 'Content-Type' => 'text/xml; charset=utf-8',
            SOAPAction => '"urn:orders:Get"' ],
          '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"/>' ],
        [ pass => POST => '/ws/Orders.asmx?op=Get',
          [ 'Content-Type' => 'application/soap+xml; charset=utf-16;'
                              . ' action="urn:orders:Delete"' ],
          "\xff\xfe<\0a\0/\0>\0" ],
        [ held => POST => '/ws/Orders.asmx',
          [ 'Content-Type' => 'text/xml', SOAPAction => '"urn:orders:Delete"' ],
          '<s:Envelope/>' ],
    ],

    [ latin => <<'EOF',
        rule form { match $request_method POST; match $uri /form;
                    match form:action delete; require admins; }
        rule json { match $request_method POST; match $uri /json;
                    match json:/action delete; require admins; }
EOF
        [ pass => POST => '/form',
          [ 'Content-Type' => "$FORM; charset=ISO-8859-1" ],
          'action=list&name=M%FCller' ],
        [ pass => POST => '/form', [ 'Content-Type' => "$FORM;charset=UTF-8" ],
          'action=list&tag[]=a&tag[]=b&x.y=1' ],
        [ pass => POST => '/json',
          [ 'Content-Type' => 'application/json; charset=ISO-8859-1' ],
          '{"action":"list"}' ],
        [ pass => POST => '/json',
          [ 'Content-Type' => 'application/json; charset="windows-1252"' ],
          '{"action":"list"}' ],
        [ pass => POST => '/json',
          [ 'Content-Type' => 'text/plain; charset=us-ascii' ],
          '{"action":"list"}' ],
        [ held => POST => '/form',
          [ 'Content-Type' => "$FORM; charset=ISO-8859-1" ],
          'action=delete&name=M%FCller' ],
        [ held => POST => '/json',
          [ 'Content-Type' => 'application/json; charset=ISO-8859-1' ],
          '{"action":"delete"}' ],
    ],

    [ kubernetes => <<'EOF',
        rule namespace { match $request_method DELETE;
                         match $uri ~^/api/v1/namespaces/[^/]+$;
                         require admins; }
        rule scale { match $request_method PATCH;
                     match $uri ~^/apis/apps/v1/.*/scale$;
                     match json:/spec/replicas <1; require admins; }
EOF
        [ pass => GET => '/api/v1/namespaces/a/pods?labelSelector=app%3Dweb%2C'
                         . 'tier%20in%20(a,b)&watch=1' ],
        [ pass => GET => '/api/v1/namespaces/a/services/https:web:443/proxy' ],
        [ pass => POST => '/api/v1/namespaces/a/pods/b/exec?command=sh&'
                          . 'command=-c&command=ls%20%2F&stdin=true', [], '' ],
        [ pass => PATCH => '/apis/apps/v1/namespaces/a/deployments/b/scale',
          [ 'Content-Type' => 'application/strategic-merge-patch+json' ],
          '{"spec":{"replicas":3}}' ],
        [ pass => PATCH => '/apis/apps/v1/namespaces/a/deployments/b/scale?'
                           . 'fieldManager=k&force=true',
          [ 'Content-Type' => 'application/apply-patch+yaml' ],
          '{"spec":{"replicas":3}}' ],
        [ held => PATCH => '/apis/apps/v1/namespaces/a/deployments/b/scale',
          [ 'Content-Type' => 'application/merge-patch+json' ],
          '{"spec":{"replicas":0}}' ],
        [ held => DELETE => '/api/v1/namespaces/prod?gracePeriodSeconds=0' ],
    ],

    [ elasticsearch => <<'EOF',
        rule index { match $request_method DELETE; match $uri ~^/[^/]+$;
                     require admins; }
        rule query { match $uri ~/_delete_by_query$;
                     match json:/query/match_all ~.; require admins; }
EOF
        [ pass => GET => '/%3Clogs-%7Bnow%2Fd%7D%3E/_search?q=a:%22b%20c%22' ],
        [ pass => POST => '/logs/_bulk',
          [ 'Content-Type' => 'application/x-ndjson' ],
          "{\"index\":{}}\n{\"a\":1}\n" ],
        [ pass => DELETE => '/logs/_doc/a%2Fb' ],
        [ pass => POST => '/logs-*,-x/_delete_by_query?conflicts=proceed',
          [ 'Content-Type' => 'application/vnd.elasticsearch+json;'
                              . 'compatible-with=8' ],
          '{"query":{"term":{"a":1}}}' ],
        [ held => DELETE => '/%3Clogs-%7Bnow%2Fd%7D%3E' ],
        [ held => DELETE => '/logs-*?expand_wildcards=all' ],
    ],

    [ others => <<'EOF',
        rule admin  { match $uri ^/admin/; require admins; }
        rule delete { match $request_method DELETE; require admins; }
        rule env    { match $http_x_env prod; require admins; }
        rule cookie { match $cookie_role admin; require admins; }
        rule page   { match $arg_confirm 1; require admins; }
EOF
        [ pass => GET => '/~user/%7Euser/100%25/a%2Bb/a+b/caf%C3%A9' ],
        [ pass => GET => '//double//slash/./and/../dots' ],
        [ pass => GET => '/%41pi/a%5Cb/c%20d?e=%zz&f=100%' ],
        [ pass => GET => '/x;v=1,2/y;z' ],
        [ pass => GET => 'http://others.example/absolute?x=1' ],
        [ pass => GET => 'http://others.example:80/absolute' ],
        [ pass => GET => '/api/datasources/proxy/1/query?query=sum(rate(a%7B'
                         . 'job%3D%22b%22%7D%5B5m%5D))' ],
        [ pass => GET => '/search?q=1&q=2&Q=3&x[]=1&x[]=2&y[a][b]=1&z=%26%3D' ],
        [ pass => GET => '/rewritten', [ 'X-Original-URL' => '/rewritten' ] ],
        [ pass => GET => '/rewritten', [ 'X-Rewrite-URL' => '/other?a=b' ] ],
        [ pass => POST => '/verb', [ 'X-HTTP-Method-Override' => 'PATCH' ],
          '' ],
        [ pass => GET => '/', [ Cookie => 'a=1; a=2; b="c d"; e={"f":1}',
                                'X-Forwarded-For' => '10.0.0.1, 10.0.0.2',
                                'X-Env' => 'dev', 'X-Tag' => 'a',
                                'X-Tag' => 'b' ] ],
        [ pass => PROPFIND => '/dav/My%20Docs/', [ Depth => 1 ] ],
        [ pass => PUT => '/_matrix/client/v3/rooms/%21a%3Ab.org/send/m/1',
          [ 'Content-Type' => 'application/json' ], '{}' ],
        [ held => GET => '/admin/%7Euser' ],
        [ held => GET => '/%61dmin//users' ],
    ],

    [ couchdb => <<'EOF',
        rule database { match $request_method DELETE; match $uri ~^/[^/]+$;
                        require admins; }
        default allow;
EOF
        [ pass => DELETE => '/db/doc%2Fwith%2Fslashes?rev=1-a' ],
        [ pass => PUT => '/db/_design%2Fview/_view/x?startkey=%5B%22a%22%5D&'
                         . 'endkey=["a",{}]', [], '{}' ],
        [ pass => GET => '/a%2Fb%2B' ],
        [ held => DELETE => '/db' ],
        [ held => DELETE => '/a%2Fb%2B' ],
    ],

    [ registry => <<'EOF',
        default deny;
        rule read   { match $request_method GET HEAD; match $uri ^/v2/; allow; }
        rule upload { match $request_method POST PATCH PUT;
                      match $uri ~^/v2/.+/(blobs|manifests)/; allow; }
        rule delete { match $request_method DELETE; match $uri ^/v2/;
                      require admins; }
EOF
        [ pass => GET => '/v2/a/b/manifests/sha256:0a1b' ],
        [ pass => PATCH => '/v2/a/b/blobs/uploads/6b3c?_state=a-b_c%3D%3D',
          [ 'Content-Type' => 'application/octet-stream' ], "\0\1" ],
        [ pass => POST => '/v2/a/blobs/uploads/?mount=sha256%3A0a&from=x%2Fy',
          [], '' ],
        [ held => DELETE => '/v2/a/b/manifests/sha256:0a1b' ],
        [ denied => GET => '/v1/search' ],
    ],

    # two rules may hold for one request: the first one decides

    [ payments => <<'EOF',
        rule large  { match $uri ^/v1/refunds; match form:amount >10000;
                      require 2 of admins; }
        rule refund { match $request_method POST; match $uri ^/v1/refunds;
                      require admins; }
        rule live   { match $uri ^/v1/customers; match form:mode live;
                      require admins; }
EOF
        [ pass => POST => '/v1/charges', [ 'Content-Type' => $FORM,
            'Stripe-Version' => '2024-06-20', 'X-Stripe-Client-User-Agent' =>
            '{"bindings_version":"10.1","lang":"python"}' ],
          'amount=2000&currency=usd&metadata[order]=6735&expand[]=customer' ],
        [ pass => POST => '/v1/customers', [ 'Content-Type' =>
            "$FORM; charset=utf-8" ],
          'name=Ren%C3%A9e+B.&address%5Bline1%5D=1+Rue%0D%0A2&mode=test' ],
        [ pass => POST => '/2010-04-01/Accounts/AC1/Messages.json',
          [ 'Content-Type' => "$FORM;charset=utf-8" ],
          'To=%2B15551234&Body=Hi%21+%F0%9F%8E%89&MediaUrl=https%3A%2F%2Fa' ],
        [ held => POST => '/v1/refunds', [ 'Content-Type' => $FORM ],
          'charge=ch_1&amount=500&metadata[note]=a%26b' ],
    ],

    [ aws => <<'EOF',
        rule prod   { match $http_x_amz_target ~Delete;
                      match json:/TableName prod; require 2 of admins; }
        rule delete { match $http_x_amz_target ~Delete; require admins; }
        rule stop   { match $uri ^/ec2; match form:Action TerminateInstances;
                      require admins; }
EOF
        [ pass => POST => '/', [ 'Content-Type' => 'application/x-amz-json-1.0',
            'X-Amz-Target' => 'DynamoDB_20120810.GetItem',
            'Amz-Sdk-Request' => 'attempt=1; max=3' ],
          '{"TableName":"prod","Key":{"id":{"S":"a b "}}}' ],
        [ pass => POST => '/ec2', [ 'Content-Type' => "$FORM; charset=utf-8" ],
          'Action=DescribeInstances&Filter.1.Name=tag%3Aenv&'
          . 'Version=2016-11-15' ],
        [ held => POST => '/', [ 'Content-Type' => 'application/x-amz-json-1.0',
            'X-Amz-Target' => 'DynamoDB_20120810.DeleteTable' ],
          '{"TableName":"test"}' ],
        [ held => POST => '/', [ 'Content-Type' => 'application/x-amz-json-1.1',
            'X-Amz-Target' => 'Logs_20140328.DeleteLogGroup' ],
          '{"logGroupName":"/aws/lambda/x"}' ],
        [ held => POST => '/ec2', [ 'Content-Type' => "$FORM; charset=utf-8" ],
          'Action=TerminateInstances&InstanceId.1=i-1&Version=2016-11-15' ],
    ],

    [ browser => <<'EOF',
        rule admin  { match $cookie_role admin; match $uri ^/admin/;
                      require admins; }
        rule delete { match $uri ^/items/; match form:action delete;
                      require admins; }
        rule env    { match $uri ^/api/; match json:/env prod; require admins; }
        rule method { match $request_method DELETE; require admins; }
EOF
        [ pass => POST => '/items/7', [ 'Content-Type' => $FORM,
            Origin => 'https://a.example', 'Sec-Fetch-Mode' => 'navigate',
            Cookie => '_ga=GA1.1.1.2; prefs=%7B%22a%22%3A1%7D; q="a b"; '
                      . 'sid=s%3Aab.c%2F+d; consent=x&groups=C1:1,C2:0' ],
          'utf8=%E2%9C%93&action=save&note=one%0D%0Atwo+&tags%5B%5D=a&'
          . 'tags%5B%5D=b' ],
        [ pass => GET => '/admin/x', [ Cookie => 'role=user; '
            . 'cart={"items":[1,2],"note":"a, b"}' ] ],
        [ pass => GET => '/items?_=1733030000000&callback=jQuery3_1' ],
        [ pass => GET => '/wp-json/wp/v2/posts?_embed&_fields=id,title&'
                         . '_locale=user' ],
        [ pass => GET => '/table?draw=1&columns%5B0%5D%5Bdata%5D=id&'
                         . 'order%5B0%5D%5Bdir%5D=asc&search%5Bvalue%5D=' ],
        [ pass => POST => '/api/beacon', [ 'Content-Type' =>
            'text/plain;charset=UTF-8' ], '{"event":"view","env":"dev"}' ],
        [ pass => POST => '/api/x', [ 'Content-Type' => 'application/json',
            Accept => 'application/json, text/plain, */*',
            'X-XSRF-TOKEN' => 'a/b+c==' ],
          "{\"env\":\"dev\",\"text\":\"a\\n\"}\n" ],
        [ pass => PUT => '/api/x', [], '{"env":"dev"}' ],
        [ pass => POST => '/files', [ 'X-HTTP-Method-Override' => 'PATCH',
            'Tus-Resumable' => '1.0.0', 'Upload-Metadata' => 'name YS5wZGY=,is',
            'Content-Type' => 'application/offset+octet-stream' ], "\0\1" ],
        [ pass => POST => '/upload/storage/v1/b/k/o?uploadType=multipart&'
                          . 'name=a%2Fb', [ 'Content-Type' =>
            'multipart/related; boundary="b"' ],
          "--b\r\n\r\n{}\r\n--b--\r\n" ],
        [ pass => POST => '/v1/projects/p/databases/(default)/documents:commit',
          [ 'Content-Type' => 'application/json' ], '{"writes":[]}' ],
        [ pass => PUT => '/c/$logs/a%20b.log?comp=block&blockid=QUFB%3D%3D',
          [ 'X-Ms-Blob-Type' => 'BlockBlob' ], 'x' ],
        [ pass => POST => '/write', [ 'Content-Encoding' => 'snappy',
            'Content-Type' => 'application/x-protobuf' ], "\x0a\0" ],
        [ pass => POST => '/envelope/?sentry_key=a', [ 'Content-Type' =>
            'text/plain;charset=UTF-8' ],
          "{\"dsn\":\"x\"}\n{\"type\":\"event\"}\n{}" ],
        [ pass => POST => '/oauth/token', [ 'Content-Type' => $FORM,
            Authorization => 'Basic YTpi' ],
          'grant_type=authorization_code&code=4%2F0A&'
          . 'redirect_uri=https%3A%2F%2Fa' ],
        [ held => POST => '/wp-json/wp/v2/posts/7?_method=DELETE', [], '' ],
        [ held => GET => '/wp-json/wp/v2/posts/7?_method=DELETE&force=1' ],
        [ held => POST => '/items/7', [ 'Content-Type' => $FORM,
            Cookie => 'a=1' ], 'utf8=%E2%9C%93&action=delete&commit=Delete' ],
        [ held => POST => '/api/x', [ 'Content-Type' => 'text/plain' ],
          '{"env":"prod"}' ],
    ],
);


my ($http, $servers) = ('', '');

for my $product (@products) {
    my ($name, $rules) = @$product;

    $http .= "approval_policy $name { $rules }\n";
    $servers .= <<"EOF";
    server {
        listen 127.0.0.1:%%PORT%%;
        server_name $name.example;
        approval $name;
        approval_requester \$http_x_agent;
        location / { proxy_set_header Host \$host; proxy_pass %%UP%%; }
    }
EOF
}

my $gw = Approval::Gateway->new(workers => 2, http => $http,
                                server => "}\n$servers server { listen "
                                          . '127.0.0.1:%%PORT%%;'
                                          . ' server_name none;');


sub ask {
    my ($name, $method, $target, $headers, $body, @more) = @_;

    my $client = Approval::Client->new($gw->port);

    $client->send($method, $target, defined $body ? (body => $body) : (),
                  headers => [ Host => "$name.example", 'X-Agent' => 'agent-7',
                               @{ $headers // [] }, @more ]);

    return $client->read;
}


# the upstream's target has no scheme and host

sub reached {
    my ($target, $body, $name) = @_;

    my ($seen, @more) = $gw->up->requests;
    my $want = $target =~ s{^http://[^/]*}{}r;

    is($seen && $seen->target, $want, "$name: the target, as it was sent");
    ok($seen && $seen->body eq ($body // ''), "$name: and the body");
    is(scalar @more, 0, "$name: once");
}


sub try_request {
    my ($product, $want, $method, $target, $headers, $body) = @_;

    my $name = "$product: $method $target";

    $gw->up->clear;

    my $answer = ask($product, $method, $target, $headers, $body,
                     $want eq 'pass' ? () : (Prefer => 'respond-async'));

    if ($want eq 'pass') {
        is($answer->status, 200, "$name: passes") or diag($answer->body);
        return reached($target, $body, $name);
    }

    is($gw->up->count, 0, "$name: nothing was forwarded");

    return is($answer->status, 403, "$name: denied") if $want eq 'denied';

    is($answer->status, 202, "$name: held")
        or return diag($answer->status, ' ', $answer->body);

    my $id = $answer->header('Approval-Id');

    # but for a session's id

    my $shown = quotemeta($target =~ s{^http://[^/]*}{}r)
                =~ s/(jsessionid\\=)\w+/$1.*/r;

    like($gw->action($id)->{target}, qr/^$shown$/, "$name: shown as it is");

    $gw->vote($id, 'approve');

    $answer = ask($product, $method, $target, $headers, $body);

    is($answer->status, 200, "$name: approved") or diag($answer->body);
    reached($target, $body, $name);
}


for my $product (@products) {
    my ($name, undef, @requests) = @$product;

    try_request($name, @$_) for @requests;
}

is(scalar(my @none = $gw->pending), 0, 'nothing is left to be decided');
$gw->clean;

done_testing();

package Approval::Npm;

# Copyright (C) ngx_http_approval_module contributors
#
# A package of npm, installed by name into the build directory, once for all
# tests.
#
#   Approval::Npm::LLM               the SDKs that t/clients/sdk.mjs uses
#   my $dir = Approval::Npm::install('jose@5');
#     a new directory whose node_modules has it; without it, by the fault of the
#     registry or of the way to it, the test is skipped

use strict;
use warnings;

use Approval::Test;

use Fcntl qw(:flock);

use constant LLM => 'openai@6 @anthropic-ai/sdk@0 ai@5 @ai-sdk/openai@2 zod@4';


sub install {
    my ($package) = @_;

    my $cache = build_dir() . '/npm-' . ($package =~ s/[^a-z0-9]+/-/gr);

    mkdir $cache;
    open(my $lock, '>', "$cache/lock") or die "$cache/lock: $!";
    flock($lock, LOCK_EX) or die "$cache/lock: $!";

    if (!-e "$cache/installed") {
        my $log = "$cache/npm.log";

        if (system("cd '$cache' && timeout 180 npm install --no-audit "
                   . '--no-fund --no-save --fetch-timeout=30000 '
                   . "--fetch-retries=1 --prefix . $package > '$log' 2>&1")
            != 0)
        {
            my ($why) = slurp($log) =~ /^(npm ERR! .*)$/m;

            plan(skip_all => "npm does not install $package: "
                             . ($why // 'it takes too long'));
        }

        spew("$cache/installed", $package);
    }

    my $dir = tempdir();
    symlink("$cache/node_modules", "$dir/node_modules") or die $!;

    return $dir;
}


1;


# Copyright (C) ngx_http_approval_module contributors

BUILD = .build
TESTS =

DESTDIR =
prefix = /usr/local
bindir = $(prefix)/bin
sbindir = $(prefix)/sbin
mandir = $(prefix)/share/man
docdir = $(prefix)/share/doc/ngx_http_approval_module
modulesdir = /usr/lib/nginx/modules

.PHONY: build check test full-test bench install package clean help

build:
	bash conf/build.sh $(BUILD)

check: build
	APPROVAL_BUILD=$(BUILD) prove -I t/lib -j 2 \
		t/harness.t t/rooms.t $(wildcard t/unit.t)

test:
	APPROVAL_BUILD=$(BUILD) bash t/run.sh $(TESTS)

full-test: test
	APPROVAL_BUILD=$(BUILD) bash t/run.sh --long

bench: build
	APPROVAL_BUILD=$(BUILD) bash t/bench/run.sh

install: build
	install -d $(DESTDIR)$(modulesdir) $(DESTDIR)$(bindir) \
		$(DESTDIR)$(sbindir) $(DESTDIR)$(mandir)/man1 \
		$(DESTDIR)$(mandir)/man7 $(DESTDIR)$(mandir)/man8 \
		$(DESTDIR)$(docdir)/docs $(DESTDIR)$(docdir)/examples \
		$(DESTDIR)$(docdir)/templates
	install -m 644 $(BUILD)/ngx_http_approval_module.so \
		$(DESTDIR)$(modulesdir)
	install -m 755 $(BUILD)/approval-audit $(DESTDIR)$(bindir)
	install -m 755 conf/init.sh $(DESTDIR)$(sbindir)/approval-init
	perl conf/man.pl approval-audit.1 $(BUILD)/approval-audit \
		> $(DESTDIR)$(mandir)/man1/approval-audit.1
	perl conf/man.pl ngx_http_approval_module.7 \
		> $(DESTDIR)$(mandir)/man7/ngx_http_approval_module.7
	perl conf/man.pl approval-init.8 $(DESTDIR)$(sbindir)/approval-init \
		> $(DESTDIR)$(mandir)/man8/approval-init.8
	install -m 644 README.md CHANGES LICENSE SECURITY.md \
		$(DESTDIR)$(docdir)
	install -m 644 docs/*.md $(DESTDIR)$(docdir)/docs
	sed -i 's,conf/\(examples\|templates\)/,\1/,g' \
		$(DESTDIR)$(docdir)/docs/*.md
	install -m 644 conf/examples/* $(DESTDIR)$(docdir)/examples
	install -m 644 conf/templates/* $(DESTDIR)$(docdir)/templates

package:
	bash conf/package.sh $(BUILD)/package

clean:
	rm -rf $(BUILD) $(BUILD)-asan .build-all

help:
	@echo 'make [build]      the module in $(BUILD), BUILD=DIR elsewhere'
	@echo 'make check        build, harness, rooms, unit tests'
	@echo 'make test         all tests; TESTS="t/a.t t/b.t" some of them'
	@echo 'make full-test    the same, then what takes hours: t/run.sh --long'
	@echo 'make bench        measure; see t/bench'
	@echo 'make install      install it; DESTDIR=, prefix=, modulesdir='
	@echo 'make package      the Debian package, in $(BUILD)/package'
	@echo 'make clean        remove what was built'

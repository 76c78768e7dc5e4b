
# Copyright (C) ngx_http_approval_module contributors

BUILD = .build
TESTS =

.PHONY: build check test full-test bench clean help

build:
	bash conf/build.sh $(BUILD)

check: build
	APPROVAL_BUILD=$(BUILD) prove -I t/lib -j 2 \
		t/harness.t t/rooms.t $(wildcard t/unit.t)

test:
	APPROVAL_BUILD=$(BUILD) bash t/run.sh $(TESTS)

full-test: test
	APPROVAL_BUILD=$(BUILD) bash t/run.sh --asan $(TESTS)
	APPROVAL_BUILD=$(BUILD) bash t/run.sh --valgrind $(TESTS)

bench: build
	APPROVAL_BUILD=$(BUILD) bash t/bench/run.sh

clean:
	rm -rf $(BUILD) $(BUILD)-asan

help:
	@echo 'make [build]      the module in $(BUILD), BUILD=DIR elsewhere'
	@echo 'make check        build, harness, rooms, unit tests'
	@echo 'make test         all tests; TESTS="t/a.t t/b.t" some of them'
	@echo 'make full-test    the same, then under sanitizers and valgrind'
	@echo 'make bench        measure; see t/bench'
	@echo 'make clean        remove what was built'

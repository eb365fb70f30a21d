# reelbus: saves AI-generated videos before their URLs die.
#
#   make            build build/reelbus-producer and build/reelbus-consumer
#   make run        install what is missing, build, start everything with sample videos, until Ctrl-C
#   make test       install what is missing, build, run all tests
#   make help       the other targets
#
# V=1 shows the commands. BUILD=asan and BUILD=tsan build with sanitizers, into build/asan and build/tsan.

BUILD   ?= release
CC      ?= gcc
PREFIX  ?= /usr/local
cores   := $(shell nproc)
DESTDIR ?=

ifeq ($(BUILD),release)
out := build
else
out := build/$(BUILD)
endif

Q    := $(if $(V),,@)
say   = $(if $(V),@:,@printf '  %-7s %s\n')

libraries := rdkafka libcurl expat libpq avro-c libssl libcrypto libuv jansson

warnings := -Wall -Wextra -Wshadow -Wconversion -Werror -Wformat=2 -Wimplicit-fallthrough -Wstrict-prototypes \
            -Wmissing-prototypes -Wpointer-arith -Wvla -Wunused-function -Wno-format-zero-length
hardened := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fno-delete-null-pointer-checks \
            -fno-strict-overflow -fno-strict-aliasing -ftrivial-auto-var-init=zero -fPIE
flags_release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
flags_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
flags_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
link_release  := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
link_asan     := -pie -fsanitize=address,undefined
link_tsan     := -pie -fsanitize=thread -rdynamic

ifeq ($(flags_$(BUILD)),)
$(error BUILD is '$(BUILD)', expected release, asan or tsan)
endif

CFLAGS  ?=
LDFLAGS ?=
all_cflags  = -std=gnu17 -D_GNU_SOURCE -I. $(shell pkg-config --cflags $(libraries)) $(warnings) $(hardened) \
              $(flags_$(BUILD)) $(CFLAGS)
all_ldflags = $(link_$(BUILD)) $(LDFLAGS)
all_libs    = $(shell pkg-config --libs $(libraries))
# asked once, not for every file
all_cflags := $(all_cflags)
all_libs   := $(all_libs)

common_c   := $(sort $(wildcard common/*.c))
producer_c := $(sort $(wildcard producer/*.c))
consumer_c := $(sort $(wildcard consumer/*.c))
unit_c     := $(sort $(wildcard tests/unit/test_*.c))
all_c      := $(common_c) $(producer_c) $(consumer_c) $(unit_c) tests/tsan/c11_threads.c tests/bench/floor.c

objects      = $(patsubst %.c,$(out)/obj/%.o,$(1))
extra_c     := $(if $(filter tsan,$(BUILD)),tests/tsan/c11_threads.c)
producer_o  := $(call objects,$(common_c) $(producer_c) $(extra_c))
consumer_o  := $(call objects,$(common_c) $(consumer_c) $(extra_c))
parts_o     := $(filter-out %/main.o,$(sort $(producer_o) $(consumer_o)))
programs    := $(out)/reelbus-producer $(out)/reelbus-consumer
unit_tests  := $(patsubst tests/unit/%.c,$(out)/unit/%,$(unit_c))

.PHONY: all run test unit lint format docs way asan tsan fail valgrind fuzz chaos bench-receive bench-store bench-replay install clean help \
        deps-build deps-run deps-test deps-lint deps-fuzz deps-valgrind deps-bench
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:

all: $(programs) compile_commands.json

$(out)/reelbus-producer: $(producer_o)
	$(say) LINK $@
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(all_libs)

$(out)/reelbus-consumer: $(consumer_o)
	$(say) LINK $@
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(all_libs)

$(out)/unit/%: $(out)/obj/tests/unit/%.o $(parts_o)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(all_libs) -lcmocka

$(out)/bench/floor: $(out)/obj/tests/bench/floor.o
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) -o $@ $^ -lmicrohttpd -lrdkafka

$(out)/obj/%.o: %.c $(out)/obj/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) -MMD -MP -c -o $@ $<

# Changed flags build everything anew.
$(out)/obj/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(all_cflags)' | cmp -s - $@ || echo '$(CC) $(all_cflags)' > $@
.PHONY: FORCE

# The programs as released, but for the files with failpoints in them.
pointed_c  := $(shell grep -l '^\#include "common/failpoint.h"' $(common_c) $(producer_c) $(consumer_c))
fail_o      = $(foreach file,$(1),$(if $(filter $(file),$(pointed_c)),build/fail/obj/$(file:.c=.o),build/obj/$(file:.c=.o)))

build/fail/reelbus-producer: $(call fail_o,$(common_c) $(producer_c))
	$(say) LINK $@
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(all_libs)

build/fail/reelbus-consumer: $(call fail_o,$(common_c) $(consumer_c))
	$(say) LINK $@
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(all_libs)

build/fail/obj/%.o: %.c $(out)/obj/flags
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) -DRB_FAILPOINTS -MMD -MP -c -o $@ $<

# A target of fuzzing includes the file that it is about, and is linked with what that one needs.
build/fuzz/offset_map: common/base.c common/digits.c

fuzzers     := $(patsubst tests/fuzz/fuzz_%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
flags_fuzz  := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

build/fuzz/%: tests/fuzz/fuzz_%.c $(wildcard common/*.h consumer/*.[ch])
	$(say) FUZZ $@
	@mkdir -p $(@D)
	$(Q)clang-14 -std=gnu17 -D_GNU_SOURCE -I. -Wall -Wextra -Wshadow -Werror $(flags_fuzz) -o $@ \
	    $(filter-out consumer/% %.h,$^) -lcrypto

# Files that become part of an object, which the compiler does not tell.
$(out)/obj/common/events.o: $(wildcard schemas/*.avsc)
$(out)/obj/producer/page.o: $(wildcard producer/page/*) deploy/examples/reelbus-watch.js
$(out)/obj/consumer/setup_sql.o: $(wildcard deploy/sql/*.sql deploy/sql/supabase/*.sql)

-include $(patsubst %.c,$(out)/obj/%.d,$(all_c)) $(patsubst %.c,build/fail/obj/%.d,$(pointed_c))

compile_commands.json: Makefile $(all_c)
	$(Q)for file in $(all_c); do \
	    printf '%s{"directory":"%s","file":"%s","command":"%s"}' "$${comma-[}" '$(CURDIR)' "$$file" \
	        '$(CC) $(subst ",\",$(all_cflags)) -c '"$$file"; comma=,; done > $@; echo ']' >> $@

run: deps-run
	$(Q)$(MAKE) --no-print-directory -j$(cores) all
	$(Q)deploy/local/run

test: deps-test
	$(Q)$(MAKE) --no-print-directory -j$(cores) BUILD=$(BUILD) all unit
	$(Q)$(if $(filter release,$(BUILD)),$(MAKE) --no-print-directory fail)
	$(Q)tests/run --build $(BUILD) $(TESTS)

unit: $(unit_tests)

lint: deps-lint
	$(Q)tests/lint/lint

format: deps-lint
	$(Q)tests/lint/format

docs: all
	$(Q)deploy/docs

way:
	$(Q)tests/lint/way

asan tsan:
	$(Q)$(MAKE) --no-print-directory -j$(cores) BUILD=$@ all unit

# The programs that die, stop or err where REELBUS_FAIL says: common/failpoint.h.
fail:
	$(Q)$(MAKE) --no-print-directory -j$(cores) BUILD=release build/fail/reelbus-producer build/fail/reelbus-consumer

# Both programs under valgrind, through the tests of the whole way. Slow.
valgrind: deps-test deps-valgrind
	$(Q)$(MAKE) --no-print-directory -j$(cores) all unit
	$(Q)mkdir -p build/valgrind
	$(Q)for program in reelbus-producer reelbus-consumer; do \
	    printf '#!/bin/sh\nexec valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite %s "$$@"\n' \
	        '$(CURDIR)/build/'$$program > build/valgrind/$$program; chmod +x build/valgrind/$$program; done
	$(Q)tests/run --e2e-only --build valgrind $(or $(TESTS),40_consume.py 60_download.py 80_record.py 90_whole_way.py)

# Parsers under whatever libFuzzer comes to think of. FUZZ="--seconds 20".
fuzz: deps-fuzz
	$(Q)$(MAKE) --no-print-directory -j$(cores) $(fuzzers)
	$(Q)tests/fuzz/run $(FUZZ)

# Everything under faults that are drawn from a seed, until all goals are reached. CHAOS="--share 0.1 --minutes 6": tests/README.md.
chaos: deps-test
	$(Q)$(MAKE) --no-print-directory -j$(cores) BUILD=$(BUILD) all
	$(Q)$(if $(filter release,$(BUILD)),$(MAKE) --no-print-directory fail)
	$(Q).run/python/bin/python tests/chaos/chaos --build $(BUILD) $(CHAOS)

# How fast webhooks are received. BENCH="--quick" and the like: tests/bench/README.md.
bench-receive:
	$(Q)deploy/install-deps bench >&2
	$(Q)$(MAKE) --no-print-directory -j$(cores) BUILD=release all build/bench/floor >&2
	$(Q).run/python/bin/python tests/bench/receive $(BENCH)

# How fast videos are stored, against a shell pipeline and rclone.
bench-store:
	$(Q)deploy/install-deps bench >&2
	$(Q)$(MAKE) --no-print-directory -j$(cores) BUILD=release all >&2
	$(Q).run/python/bin/python tests/bench/store $(BENCH)

# How fast a replay passes over what is stored, against kcat.
bench-replay:
	$(Q)deploy/install-deps bench >&2
	$(Q)$(MAKE) --no-print-directory -j$(cores) BUILD=release all >&2
	$(Q).run/python/bin/python tests/bench/replay $(BENCH)

install: all
	$(say) INSTALL $(DESTDIR)$(PREFIX)/bin
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/reelbus $(DESTDIR)$(PREFIX)/share/reelbus/schemas \
	    $(DESTDIR)$(PREFIX)/share/reelbus/sql/supabase
	$(Q)install -m 755 $(programs) $(DESTDIR)$(PREFIX)/bin
	$(Q)install -m 644 README.md LICENSE deploy/options.md deploy/commands.md deploy/logs.md deploy/providers.md deploy/supabase.md deploy/metrics.md deploy/runbook.md $(DESTDIR)$(PREFIX)/share/doc/reelbus
	$(Q)install -m 644 deploy/prometheus/reelbus.rules.yml deploy/grafana/reelbus.json $(DESTDIR)$(PREFIX)/share/reelbus
	$(Q)install -m 644 schemas/*.avsc $(DESTDIR)$(PREFIX)/share/reelbus/schemas
	$(Q)install -m 644 deploy/sql/*.sql $(DESTDIR)$(PREFIX)/share/reelbus/sql
	$(Q)install -m 644 deploy/sql/supabase/*.sql $(DESTDIR)$(PREFIX)/share/reelbus/sql/supabase

clean:
	$(say) RM build
	$(Q)rm -rf build compile_commands.json

# Install what is missing. Fast when nothing is.
deps-build deps-run deps-test deps-lint deps-fuzz deps-valgrind deps-bench:
	$(Q)deploy/install-deps $(@:deps-%=%)

help:
	@echo 'make             build the two programs'
	@echo 'make run         install, build, and store sample videos until Ctrl-C'
	@echo 'make test        install, build, and run all tests; BUILD=asan under AddressSanitizer;'
	@echo '                 TESTS="-k words" for some of them'
	@echo 'make unit        build the unit tests'
	@echo 'make lint        check the rules that machines can check'
	@echo 'make format      format the files that differ from the last commit'
	@echo 'make docs        generate deploy/options.md and the like'
	@echo 'make way         print the way of the data through the files, and what is over size'
	@echo 'make asan, tsan  build with sanitizers into build/asan, build/tsan'
	@echo 'make fail        build the programs that die where REELBUS_FAIL says, into build/fail'
	@echo 'make valgrind    run the tests of the whole way under valgrind; slow'
	@echo 'make fuzz        feed parsers with whatever libFuzzer comes to think of; FUZZ="--seconds 20"'
	@echo 'make chaos       run everything under faults, and audit it; CHAOS="--share 0.1 --minutes 6"'
	@echo 'make bench-receive  how fast webhooks are received; BENCH="--quick --json"'
	@echo 'make bench-store    how fast videos are stored; BENCH="--quick --json"'
	@echo 'make bench-replay   how fast a replay passes over what is stored; BENCH="--quick --json"'
	@echo 'make install     into DESTDIR and PREFIX ($(PREFIX))'
	@echo 'make clean       remove build/; .run/ holds the data of make run and stays'

# Beacon.  Everything built goes to build/; a sanitized build has a directory
# of its own there.

#
#     SANITIZE=address,undefined   everything built with these sanitizers,
#                                  nginx too
#     NGINX=new                    a current nginx instead of the system's
#     DEFINES=-DNAME=VALUE         for tests that build another version

SHELL     = /bin/bash
SANITIZE ?=
NGINX    ?=
# nginx takes a variable of this name for sockets that it inherits.
unexport NGINX

comma    := ,
B        := build$(if $(NGINX),/nginx-$(NGINX))$(if \
            $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

ifeq ($(origin CC),default)
CC        = gcc
endif
HARDEN    = -fstack-protector-strong -Wformat -Werror=format-security \
            -fPIC $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2) $(DEFINES)
# gcc warns of fences, which this sanitizer does not see: what is read between
# them is atomic, too.
SANFLAGS  = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
            $(if $(findstring thread,$(SANITIZE)),-Wno-tsan) \
            $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=all))
CFLAGS   ?= -g -O2
CSTD      = -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror
ALLFLAGS  = $(CSTD) $(CFLAGS) $(HARDEN) $(SANFLAGS) -MMD -MP -Isrc/core
# Calls within the module go straight to what they name, not through a table.
LDFLAGS  += -Wl,-z,relro -Wl,-z,now -Wl,-Bsymbolic-functions $(SANFLAGS)

CORE_O    = $(patsubst src/core/%.c,$(B)/core/%.o,$(wildcard src/core/*.c))
HELPER_O  = $(patsubst src/helper/%.c,$(B)/helper/%.o, \
            $(wildcard src/helper/*.c))
UNIT      = $(patsubst t/unit/%.c,$(B)/unit/%,$(wildcard t/unit/*_test.c))
TOOLS     = $(patsubst t/tools/%.c,$(B)/%,$(filter-out $(if \
            $(wildcard /usr/include/fuse3/fuse.h),,%/fault_fs.c), \
            $(wildcard t/tools/*.c)))
BENCH     = $(patsubst t/bench/%.c,$(B)/bench/%,$(wildcard t/bench/*.c))
PRELOAD   = $(patsubst t/tools/preload/%.c,$(B)/%.so, \
            $(wildcard t/tools/preload/*.c))
FUZZERS   = $(patsubst t/fuzz/%.c,build/fuzz/%,$(wildcard t/fuzz/*_fuzz.c))

# Debian's own nginx and the sources of its nginx-dev, unless another is wanted:
# then sources are fetched, and the server is built too.
ifeq ($(NGINX)$(SANITIZE),)
NGINX_SRC = $(firstword $(wildcard /usr/share/nginx/src \
            build/nginx-dev/usr/share/nginx/src) /usr/share/nginx/src)
SERVER    =
else
NGINX_SRC = build/source/nginx-$(or $(NGINX),debian)
SERVER    = $(B)/server/objs/nginx
endif

# What a test wants of nginx beyond its defaults.
NGINX_FLAGS = --with-compat --with-debug --with-threads --with-pcre-jit \
              --with-http_ssl_module --with-http_v2_module \
              --with-http_realip_module --with-http_auth_request_module \
              --with-http_secure_link_module --with-http_stub_status_module

# ---- packages, by what needs them; all are Debian 12's
# nginx-dev: its files, and the libraries whose headers they include.
DEPS_BUILD = gcc libc6-dev make nginx nginx-dev libpcre2-dev libssl-dev \
             zlib1g-dev libjansson-dev librdkafka-dev libjemalloc-dev \
             libzmq3-dev libjs-dygraphs
DEPS_DEMO  = $(DEPS_BUILD) python3 tzdata
DEPS_TEST  = $(DEPS_DEMO) perl curl nghttp2-client clang libclang-rt-14-dev \
             dpkg-dev patch e2fsprogs fuse3 libfuse3-dev iproute2 \
             procps spin valgrind chromium chromium-driver python3-selenium \
             python3-jsonschema python3-zmq \
             $(DEPS_KAFKA)
DEPS_KAFKA = maven openjdk-17-jdk-headless openssl
DEPS_LINT  = $(DEPS_BUILD) libfuse3-dev python3 clang-tidy cppcheck git
DEPS_BENCH = $(DEPS_TEST) wrk rsyslog rsyslog-kafka

.PHONY: help all module beacond unit tools fuzzers build-tests thread-unit \
        deps deps-kafka deps-test deps-lint deps-bench demo test soak lint \
        fuzz bench screenshots test-nginx-new install clean distclean FORCE

help:                                   ## print the targets
	@sed -nE 's/^([a-z-]+):.*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 20

all: module beacond                     ## build the module and beacond

# ---- the build

$(B)/core/%.o: src/core/%.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -c -o $@ $<

$(B)/helper/%.o: src/helper/%.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -Isrc/helper -pthread -c -o $@ $<

$(B)/libbeacon.a: $(CORE_O)
	rm -f $@
	ar rcs $@ $^

# The helper without its main(), for the tests.
$(B)/libbeacond.a: $(filter-out %/main.o %/beacond_main.o,$(HELPER_O))
	rm -f $@
	ar rcs $@ $^

LIBS      = $(B)/libbeacond.a $(B)/libbeacon.a
SYSLIBS   = -lrdkafka -lzmq -ljansson -pthread

# librdkafka allocates six pieces a message: with libc's malloc half of a Kafka
# sink's CPU time.  Sanitizers bring their own.
MALLOC    = $(if $(SANITIZE),,-ljemalloc)

beacond: $(B)/beacond                   ## build the helper
$(B)/beacond: $(HELPER_O) $(B)/libbeacon.a
	$(CC) $(LDFLAGS) -pie -o $@ $^ $(MALLOC) $(SYSLIBS)

# nginx links modules with its own flags, so they get the sanitizers, too.
module: $(B)/ngx_http_beacon_module.so  ## build the nginx module
$(B)/ngx_http_beacon_module.so: config ngx_http_beacon_module.c \
        $(wildcard src/nginx/*.[ch] src/core/*.[ch] src/dashboard/*) $(SERVER) \
        $(B)/nginx.stamp
	t/lib/nginx_build modules $(NGINX_SRC) $(B)/nginx \
	    "-Wall -Wextra -Werror -Wno-unused-parameter $(CFLAGS) $(HARDEN) \
	    $(SANFLAGS) -D_GNU_SOURCE" "$(LDFLAGS)" $(if $(SERVER),$(NGINX_FLAGS))
	@cp $(B)/nginx/objs/ngx_http_beacon_module.so $@.new
	@mv $@.new $@

# nginx loads no module that was built for another version of its own.
$(B)/nginx.stamp: FORCE $(SERVER)
	@mkdir -p $(@D)
	@cat $(NGINX_SRC)/src/core/nginx.h >$@.new 2>/dev/null; \
	    cmp -s $@.new $@ || cp $@.new $@; rm -f $@.new

# nginx itself has undefined behaviour that is not ours to report.
$(if $(SERVER),$(SERVER),unused-server):
	t/lib/nginx_source $(or $(NGINX),debian) $(NGINX_SRC)
	t/lib/nginx_build server $(NGINX_SRC) $(B)/server \
	    "-g -O1 $(if $(SANITIZE),$(subst $(comma)undefined,,$(SANFLAGS)) \
	    -DNGX_DEBUG_PALLOC=1)" "$(if $(SANITIZE),-fsanitize=$(SANITIZE))" \
	    $(NGINX_FLAGS)

unit: $(UNIT)                           ## build the unit tests
$(B)/unit/%: t/unit/%.c t/unit/tap.h $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -Isrc/helper -It/unit $(LDFLAGS) -o $@ $< $(LIBS) \
	    $(SYSLIBS)

tools: $(TOOLS) $(B)/load $(PRELOAD) ## build what tests call
$(B)/%.so: t/tools/preload/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(CFLAGS) -fPIC -shared -o $@ $<

$(B)/%: t/tools/%.c $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -Isrc/helper $(LDFLAGS) -o $@ $< $(LIBS) \
	    $(SYSLIBS)

$(B)/fault_fs: t/tools/fault_fs.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(CFLAGS) -o $@ $< -lfuse3 -pthread

$(B)/bench/%: t/bench/%.c $(B)/libbeacon.a
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) $(LDFLAGS) -o $@ $< $(B)/libbeacon.a $(BENCH_LIBS) \
	    -pthread
$(B)/bench/kafka: BENCH_LIBS = -Wl,--no-as-needed $(MALLOC) -lrdkafka
$(B)/bench/spy: BENCH_LIBS = -lzmq

$(B)/load: t/lib/load.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(CFLAGS) -o $@ $<

# libFuzzer needs clang; these always have their sanitizers.
FUZZFLAGS = $(CSTD) -g -O1 -Isrc/core -Isrc/helper -MMD -MP -pthread \
            -fno-sanitize-recover=all -fno-omit-frame-pointer

build/fuzz/core/%.o: src/core/%.c
	@mkdir -p $(@D)
	clang $(FUZZFLAGS) -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<

build/fuzz/helper/%.o: src/helper/%.c
	@mkdir -p $(@D)
	clang $(FUZZFLAGS) -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<

build/fuzz/libbeacon.a: $(patsubst src/%.c,build/fuzz/%.o,$(filter-out \
        %/main.c %/beacond_main.c,$(wildcard src/core/*.c src/helper/*.c)))
	rm -f $@
	ar rcs $@ $^

fuzzers: $(FUZZERS)
build/fuzz/%_fuzz: t/fuzz/%_fuzz.c build/fuzz/libbeacon.a
	clang $(FUZZFLAGS) -fsanitize=fuzzer,address,undefined -o $@ \
	    $(filter %.c %.a,$^) $(SYSLIBS)

# ---- packages

deps:                                   ## install what building and demo need
	@t/lib/deps $(DEPS_DEMO)

deps-kafka:
	@t/lib/deps $(DEPS_KAFKA)
	@t/lib/kafka_jars

deps-test:
	@t/lib/deps $(DEPS_TEST)
	@t/lib/kafka_jars
	@t/lib/axe_core

deps-lint:
	@t/lib/deps $(DEPS_LINT)

deps-bench:
	@t/lib/deps $(DEPS_BENCH)
	@t/lib/kafka_jars

# ---- what people run

demo: deps $(if $(KAFKA),deps-kafka)    ## run it and watch it (KAFKA=1)
	@$(MAKE) -s -j$(shell nproc) all
	@DEMO_KAFKA=$(KAFKA) conf/demo/demo

# What takes longest begins first, so that none is left alone at the end.
TESTS     ?= $(LONGEST) $(filter-out $(LONGEST),$(sort $(wildcard t/*.t)))
LONGEST    = t/70-crash-skew.t $(sort $(wildcard t/9[2-3]-*.t))
JOBS      ?= 2
PROVE      = $(TEST_ENV) BEACON_BUILD=$(B) prove --timer $(if \
             $(filter-out 1,$(JOBS)),-j$(JOBS))
TEST_ENV   = $(if $(SERVER),TEST_NGINX_BINARY=$$PWD/$(SERVER)) \
             $(if $(SANITIZE),$(SAN_ENV))
SAN_ASAN   = detect_leaks=1:halt_on_error=1:use_sigaltstack=0
SAN_ENV    = ASAN_OPTIONS=$(SAN_ASAN):detect_odr_violation=0 \
             LSAN_OPTIONS=suppressions=$$PWD/t/lib/lsan.supp \
             UBSAN_OPTIONS=print_stacktrace=1 \
             TSAN_OPTIONS=halt_on_error=1

build-tests: all unit tools fuzzers $(B)/bench/render $(B)/bench/live
ifeq ($(NGINX)$(SANITIZE),)
build-tests: thread-unit
thread-unit:
	@$(MAKE) SANITIZE=thread unit
endif
test: deps-test                         ## run the tests (TESTS=t/10*.t JOBS=2)
	@$(MAKE) -s -j2 build-tests
	@$(PROVE) $(TESTS)

screenshots: deps-test                  ## the dashboard as PNG in build/
	@$(MAKE) -s all tools
	@BEACON_BUILD=$(B) t/lib/screenshots

SOAK_TESTS ?= t/[3-9]*.t
soak: deps-test                         ## run the faults as often as promised
	@$(MAKE) -s -j2 build-tests
	@rm -f $(B)/tally
	@BEACON_SOAK=1 BEACON_TALLY=$(CURDIR)/$(B)/tally $(PROVE) $(SOAK_TESTS); \
	    rc=$$?; t/lib/tally $(B)/tally; exit $$rc

FUZZ_SECONDS ?= 60
fuzz: deps-test                         ## fuzz (FUZZ_SECONDS=60 each)
	@$(MAKE) -s -j2 fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) prove -v t/05-fuzz.t

lint: deps-lint                         ## clang-tidy, cppcheck, format
	@$(MAKE) -s module
	@t/lib/lint

bench: deps-bench                       ## measure; prints one table
	@$(MAKE) -s -j2 all tools $(BENCH)
	@t/bench/run

# The .t files that say whether the module works with an nginx at all.
SMOKE     ?= t/0[0-1]*.t t/1*.t t/2*.t t/30*.t t/4[0-4]*.t
test-nginx-new:                         ## build with a current nginx and test
	@t/lib/deps cargo
	@$(MAKE) -s NGINX=new TESTS="$(SMOKE)" test

# ---- installation

PREFIX     ?= /usr
MODULES    ?= $(PREFIX)/lib/nginx/modules
EXAMPLES   ?= $(PREFIX)/share/doc/beacon/examples

install: all                            ## install (DESTDIR=, PREFIX=/usr)
	install -D -m 644 $(B)/ngx_http_beacon_module.so \
	    $(DESTDIR)$(MODULES)/ngx_http_beacon_module.so
	install -D -m 755 $(B)/beacond $(DESTDIR)$(PREFIX)/sbin/beacond
	install -d $(DESTDIR)$(EXAMPLES)
	install -m 644 conf/*.conf conf/*.service conf/*.properties \
	    conf/*.json $(DESTDIR)$(EXAMPLES)

# What was fetched from elsewhere stays.
FETCHED    = nginx-dev source kafka axe
clean:                                  ## remove what was built
	@mkdir -p build
	cd build && ls -A | grep -vxF $(FETCHED:%=-e %) | xargs -r rm -rf --

distclean:                              ## remove build/
	rm -rf build

-include $(wildcard $(B)/core/*.d $(B)/helper/*.d $(B)/unit/*.d $(B)/*.d \
           $(B)/bench/*.d \
           build/fuzz/*.d build/fuzz/*/*.d)

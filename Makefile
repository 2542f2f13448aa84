# Beacon.  Everything built goes to build/; a sanitized build has a directory
# of its own there.

SHELL     = /bin/bash
SANITIZE ?=

comma    := ,
B        := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

CC       ?= gcc
HARDEN    = -fstack-protector-strong -Wformat -Werror=format-security \
            -fPIC $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
SANFLAGS  = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
            $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=all))
CFLAGS   ?= -g -O2
CSTD      = -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror
ALLFLAGS  = $(CSTD) $(CFLAGS) $(HARDEN) $(SANFLAGS) -MMD -MP -Isrc/core
LDFLAGS  += -Wl,-z,relro -Wl,-z,now $(SANFLAGS)

CORE_O    = $(patsubst src/core/%.c,$(B)/core/%.o,$(wildcard src/core/*.c))
HELPER_O  = $(patsubst src/helper/%.c,$(B)/helper/%.o,$(wildcard src/helper/*.c))
UNIT      = $(patsubst t/unit/%.c,$(B)/unit/%,$(wildcard t/unit/*_test.c))
NGINX_SRC = /usr/share/nginx/src

.PHONY: all module beacond unit load clean help
all: module beacond                     ## build the module and beacond

help:                                   ## print the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | \
	    sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 20

$(B)/core/%.o: src/core/%.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -c -o $@ $<

$(B)/helper/%.o: src/helper/%.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -Isrc/helper -pthread -c -o $@ $<

$(B)/libbeacon.a: $(CORE_O)
	rm -f $@
	ar rcs $@ $^

beacond: $(B)/beacond                   ## build the helper
$(B)/beacond: $(HELPER_O) $(B)/libbeacon.a
	$(CC) $(LDFLAGS) -pie -o $@ $^ -ljansson -pthread

# The module, against the sources of Debian's nginx-dev.
module: $(B)/ngx_http_beacon_module.so  ## build the nginx module
$(B)/ngx_http_beacon_module.so: config ngx_http_beacon_module.c \
        $(wildcard src/nginx/*.[ch] src/core/*.[ch])
	@rm -rf $(B)/nginx && mkdir -p $(B)
	@cp -r $(NGINX_SRC) $(B)/nginx
	@top=$$PWD; cd $(B)/nginx && . ./conf_flags && ./configure \
	    "$${NGX_CONF_FLAGS[@]}" --add-dynamic-module=$$top \
	    --with-cc-opt="-Wall -Wextra -Werror -Wno-unused-parameter \
	    -g -O2 $(HARDEN) -D_GNU_SOURCE" \
	    --with-ld-opt="-Wl,-z,relro -Wl,-z,now" >configure.log \
	    || { tail configure.log; exit 1; }
	@$(MAKE) -s -C $(B)/nginx -f objs/Makefile modules
	@cp $(B)/nginx/objs/ngx_http_beacon_module.so $@

unit: $(UNIT)                           ## build the unit tests
$(B)/unit/%: t/unit/%.c $(B)/libbeacon.a
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -Isrc/helper -It/unit $(LDFLAGS) -o $@ $< \
	    $(filter %.o,$^) $(B)/libbeacon.a -ljansson -pthread

load: $(B)/load                         ## build the load generator
$(B)/load: t/lib/load.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(CFLAGS) -o $@ $<

clean:                                  ## remove build/
	rm -rf build

-include $(wildcard $(B)/core/*.d $(B)/helper/*.d $(B)/unit/*.d)

# libspanheap-malloc.so: malloc over the heap's spans, to be preloaded. See README.md, As malloc.
MALLOC_SOURCES := heap/os.c heap/fail.c heap/lock.c heap/meta.c heap/sizeclass.c heap/span.c \
	heap/pages.c heap/pageheap.c heap/cache.c heap/scavenger.c heap/watch.c $(wildcard shims/malloc*.c)
MALLOC_SO := $(BUILD)/libspanheap-malloc.so
# Not built in: a compiler that knows malloc would make calloc of malloc and memset, for ever.
MALLOC_CFLAGS := $(ALL_CFLAGS) -fno-builtin-malloc -fno-builtin-calloc -fPIC
MALLOC_OBJECTS := $(MALLOC_SOURCES:%.c=$(BUILD)/malloc/%.o)

.PHONY: malloc
malloc: $(MALLOC_SO)

# What the collector alone needs of the heap is dropped, and with it what that would need.
$(MALLOC_SO): $(MALLOC_OBJECTS) shims/malloc.map
	@$(CC) $(CFLAGS) -shared -pthread -Wl,-soname,$(@F) -Wl,-z,nodelete -Wl,-z,defs -Wl,-z,now \
		-Wl,--gc-sections -Wl,--version-script=shims/malloc.map -o $@ $(MALLOC_OBJECTS)

$(BUILD)/malloc/%.o: %.c
	@mkdir -p $(@D)
	@$(CC) $(MALLOC_CFLAGS) -c -o $@ $<

-include $(MALLOC_OBJECTS:.o=.d)

# Programs of the distribution on it and on glibc, their outputs compared.
.PHONY: malloc-programs
malloc-programs: malloc
	@/usr/bin/python3 shims/malloc_programs.py $(MALLOC_SO)

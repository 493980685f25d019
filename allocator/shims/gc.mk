# The drop-in for Boehm's collector: build/shims/libgc.so.1, see shims/README.md.
#
#     make -C allocator gc
#     LD_LIBRARY_PATH=allocator/build/shims w3m -dump page.html
#     make -C allocator gc-figures        time and memory beside Boehm's library; ROUNDS=5
#     make -C allocator gc-programs       programs of the distribution, compared with themselves
#
# All of spanheap but Go's types, with settings of its own.
GC_SOURCES := $(addprefix shims/,gc_init.c gc_table.c gc_alloc.c gc_held.c gc_kinds.c gc_typed.c \
	gc_finalize.c gc_links.c gc_roots.c gc_threads.c gc_figures.c gc_settings.c gc_variables.c \
	gc_objects.c gc_debug.c gc_absent.c gc_defaults.c)
GC_HEAP_SOURCES := $(filter-out types/% collector/defaults.c,$(SPANHEAP_SOURCES))
GC_OBJECTS := $(call objects,shims/objects,$(GC_SOURCES)) $(call objects,shared,$(GC_HEAP_SOURCES))
GC_LIBRARY := $(BUILD)/shims/libgc.so.1
GC_INSTALLED := $(DESTDIR)$(PREFIX)/lib/spanheap

.PHONY: gc install-gc gc-programs gc-figures
gc: $(GC_LIBRARY)

$(GC_LIBRARY): $(GC_OBJECTS) shims/gc.map
	@$(CC) $(CFLAGS) -shared -pthread -Wl,-soname,libgc.so.1 -Wl,-z,nodelete -Wl,-z,defs \
		-Wl,--version-script=shims/gc.map -o $@ $(GC_OBJECTS)
	@ln -sf libgc.so.1 $(BUILD)/shims/libgc.so

$(BUILD)/shims/objects/%.o: %.c
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -fPIC -c -o $@ $<

gc-programs: gc
	@/usr/bin/python3 shims/gc_programs.py $(GC_LIBRARY)

# The works of bench/ as written for Boehm, linked so that the library can be exchanged.
GC_BENCH := $(addprefix $(BUILD)/shims/bench/,binary-trees gcbench)
$(GC_BENCH): $(BUILD)/shims/bench/%: $(BENCH)/objects/boehm/%.o $(BENCH)/objects/boehm/work.o
	@mkdir -p $(@D)
	@$(CC) -O2 -o $@ $^ -lgc -pthread
gc-figures: gc $(GC_BENCH)
	@/usr/bin/python3 shims/gc_figures.py --library $(BUILD)/shims --rounds $(or $(ROUNDS),5) \
		$(GC_BENCH)

# Not where the loader looks by itself: a program asks for it by LD_LIBRARY_PATH.
install: install-gc
install-gc: gc
	@install -d $(GC_INSTALLED)/include/gc
	@install -m 755 $(GC_LIBRARY) $(GC_INSTALLED)/
	@ln -sf libgc.so.1 $(GC_INSTALLED)/libgc.so
	@install -m 644 shims/include/gc.h shims/include/gc_cpp.h $(GC_INSTALLED)/include/
	@install -m 644 shims/include/gc/*.h $(GC_INSTALLED)/include/gc/

-include $(GC_OBJECTS:.o=.d)

# The programs of bench/, for every peer: build/bench/PEER/WORK. See bench/README.md.
#
#     make -C allocator bench-programs             all that can be built here
#     make -C allocator bench-spanheap bench-go    some
#
# The same flags for every peer in C. malloc is whichever library is linked; spanheap and Boehm are
# static.
GO ?= go
BENCH_WORKS := binary-trees gcbench churn alloc lifetimes marking live-heap
BENCH_OWN_WORKS := types # for spanheap and Go alone
BENCH_MALLOC_WORKS := $(filter-out marking live-heap,$(BENCH_WORKS))
BENCH_MALLOCS := glibc jemalloc tcmalloc mimalloc spanheap-malloc
BENCH_GC_WORKS := binary-trees gcbench # for the drop-in, as built for Boehm
BENCH_PEERS := spanheap boehm boehm-parallel spanheap-gc $(BENCH_MALLOCS) go

BENCH := $(BUILD)/bench
BENCH_CFLAGS := -std=gnu17 -Wall -Wextra -Iinclude -fno-plt -pthread -MMD -MP -O2 -g
BENCH_DEFS_spanheap := -DGC_SPANHEAP
BENCH_DEFS_boehm := -DGC_BOEHM
BENCH_DEFS_boehm-parallel := -DGC_BOEHM -DGC_BOEHM_PARALLEL
BENCH_DEFS_malloc := -DGC_MALLOC
BENCH_LIBS_spanheap := $(BUILD)/libspanheap.a
BENCH_LIBS_boehm := -l:libgc.a
BENCH_LIBS_boehm-parallel := -l:libgc.a
BENCH_LIBS_spanheap-gc := $(BUILD)/shims/libgc.so.1 -Wl,-rpath,$(abspath $(BUILD))/shims
BENCH_LIBS_glibc :=
BENCH_LIBS_jemalloc := -Wl,--no-as-needed -ljemalloc
BENCH_LIBS_tcmalloc := -Wl,--no-as-needed -ltcmalloc_minimal
BENCH_LIBS_mimalloc := -Wl,--no-as-needed -lmimalloc
BENCH_LIBS_spanheap-malloc := -Wl,--no-as-needed $(MALLOC_SO) -Wl,-rpath,$(abspath $(BUILD))

.PHONY: bench-programs $(addprefix bench-,$(BENCH_PEERS))
bench-programs:
	@status=0; for peer in $(BENCH_PEERS); do \
		$(MAKE) --no-print-directory bench-$$peer || \
			{ echo "bench-$$peer: not built, see above"; status=1; }; \
	done; exit $$status

# $(1) a peer, $(2) whose objects it is linked from, $(3) its works
define bench_peer
bench-$(1): $(addprefix $(BENCH)/$(1)/,$(3))
$(addprefix $(BENCH)/$(1)/,$(3)): $(BENCH)/$(1)/%: $(BENCH)/objects/$(2)/%.o \
		$(BENCH)/objects/$(2)/work.o $(filter $(BUILD)/%,$(BENCH_LIBS_$(1)))
	@mkdir -p $$(@D)
	@$$(CC) -O2 -o $$@ $$(filter %.o,$$^) $$(BENCH_LIBS_$(1)) -pthread -ldl $$(BENCH_STATIC)
endef
$(eval $(call bench_peer,spanheap,spanheap,$(BENCH_WORKS) $(BENCH_OWN_WORKS)))
$(foreach peer,boehm boehm-parallel,$(eval $(call bench_peer,$(peer),$(peer),$(BENCH_WORKS))))
$(eval $(call bench_peer,spanheap-gc,boehm,$(BENCH_GC_WORKS)))
$(foreach peer,$(BENCH_MALLOCS),$(eval $(call bench_peer,$(peer),malloc,$(BENCH_MALLOC_WORKS))))

# As Go's programs are: else 0.9 MB of a process of 2 would be pages of the shared C library.
$(addprefix $(BENCH)/spanheap/,$(BENCH_OWN_WORKS)): BENCH_STATIC := -static

.SECONDEXPANSION:
BENCH_OBJECTS := $(foreach kind,spanheap boehm boehm-parallel malloc,\
	$(addprefix $(BENCH)/objects/$(kind)/,$(addsuffix .o,$(BENCH_WORKS) work))) \
	$(addprefix $(BENCH)/objects/spanheap/,$(addsuffix .o,$(BENCH_OWN_WORKS)))
$(BENCH_OBJECTS): $(BENCH)/objects/%.o: bench/$$(subst -,_,$$(notdir $$*)).c bench/bench.mk
	@mkdir -p $(@D)
	@$(CC) $(BENCH_CFLAGS) $(BENCH_DEFS_$(patsubst %/,%,$(dir $*))) -c -o $@ $<

# One Go program, which looks at the name it is called by.
bench-go: $(BENCH)/go/peer
$(BENCH)/go/peer: $(wildcard bench/go/*.go) bench/go/go.mod
	@mkdir -p $(@D)
	@cd bench/go && GOCACHE=$(abspath $(BENCH))/go-cache GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
		$(GO) build -trimpath -o $(abspath $@) .
	@for work in $(BENCH_WORKS) $(BENCH_OWN_WORKS); do ln -sf peer $(BENCH)/go/$$work; done

-include $(BENCH_OBJECTS:.o=.d)

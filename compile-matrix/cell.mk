# Builds the allocator and one pitfall for one cell of the matrix, by hand:
#
#     make -f compile-matrix/cell.mk PITFALL=growth VARIANT=bad CC=gcc LEVEL=-O2
#     compile-matrix/build/by-hand/gcc-O2/growth.bad
#
# The harness runs the same commands (it asks `make -f cell.mk settings` for the flags below), but
# keeps its objects by content and links anew, in another random layout, for every sample.

HERE := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
ROOT ?= $(patsubst %/,%,$(dir $(abspath $(HERE))))
include $(ROOT)/allocator/sources.mk

# Origin "default" is make's own CC=cc.
ifeq ($(origin CC),default)
CC := gcc
endif
LEVEL ?= -O2
PITFALL ?= growth
VARIANT ?= bad
EXTRA ?=

# The same in every cell. Functions in sections of their own can be shuffled by the linker.
CELL_CFLAGS := -std=gnu17 -g -Wall -Wextra -ffunction-sections -fdata-sections \
	-fvisibility=hidden -ftls-model=initial-exec -fno-plt -pthread
CELL_INCLUDES := -Iallocator/include -Iallocator -Ipitfalls
# A program has of the library what it uses.
CELL_LIBS := -pthread -lm -Wl,--gc-sections

OUT ?= $(ROOT)/compile-matrix/build/by-hand/$(notdir $(CC))$(LEVEL)
DRIVER := $(sort $(patsubst $(ROOT)/%,%,$(wildcard $(ROOT)/pitfalls/*.c)))
DRIVER_OBJECTS := $(patsubst pitfalls/%.c,$(OUT)/driver/%.o,$(DRIVER))
# The allocator's C files are compiled as one unit, which takes a quarter of the time.
UNIT_PARTS := $(filter %.c,$(SPANHEAP_SOURCES))
OBJECTS := $(OUT)/spanheap/unit.o \
	$(patsubst %.S,$(OUT)/spanheap/%.o,$(filter %.S,$(SPANHEAP_SOURCES)))
PROGRAM := $(OUT)/$(PITFALL).$(VARIANT)
COMPILE = cd $(ROOT) && $(CC) $(CELL_CFLAGS) $(CELL_INCLUDES) $(LEVEL) $(EXTRA)

.PHONY: program settings
program: $(PROGRAM)

# One line each, for the harness.
settings:
	@echo 'cflags $(CELL_CFLAGS)'
	@echo 'includes $(CELL_INCLUDES)'
	@echo 'libs $(CELL_LIBS)'
	@echo 'sources $(SPANHEAP_SOURCES)'
	@echo 'driver $(DRIVER)'

$(PROGRAM): $(OBJECTS) $(DRIVER_OBJECTS) $(PROGRAM).o
	$(CC) $(LEVEL) $(EXTRA) -o $@ $^ $(CELL_LIBS)

$(PROGRAM).o: $(ROOT)/pitfalls/$(PITFALL)/$(VARIANT).c $(wildcard $(ROOT)/pitfalls/*.h)
	@mkdir -p $(@D)
	$(COMPILE) -Ipitfalls/$(PITFALL) -DPITFALL_VARIANT='"$(VARIANT)"' \
		-c pitfalls/$(PITFALL)/$(VARIANT).c -o $@

$(OUT)/driver/%.o: $(ROOT)/pitfalls/%.c $(wildcard $(ROOT)/pitfalls/*.h)
	@mkdir -p $(@D)
	$(COMPILE) -c pitfalls/$*.c -o $@

$(OUT)/spanheap/unit.o: $(addprefix $(ROOT)/allocator/,$(UNIT_PARTS)) \
		$(shell find $(ROOT)/allocator -name build -prune -o \( -name '*.h' -o -name '*.inc' \) -print)
	@mkdir -p $(@D)
	@printf '#include "%s"\n' $(UNIT_PARTS) > $(OUT)/spanheap/unit.c
	$(COMPILE) -c $(OUT)/spanheap/unit.c -o $@

$(OUT)/spanheap/%.o: $(ROOT)/allocator/%.S
	@mkdir -p $(@D)
	$(COMPILE) -c allocator/$*.S -o $@

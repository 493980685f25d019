# The two programs of the fidelity run: build/fidelity/fidelity (C) and build/fidelity/go/fidelity.
FIDELITY := $(BUILD)/fidelity
FIDELITY_OBJECTS := $(patsubst fidelity/%.c,$(FIDELITY)/%.o,$(wildcard fidelity/*.c))

.PHONY: fidelity-programs
fidelity-programs: $(FIDELITY)/fidelity $(FIDELITY)/go/fidelity

$(FIDELITY)/fidelity: $(FIDELITY_OBJECTS) $(BUILD)/libspanheap.a
	@$(CC) -O2 -o $@ $^ -pthread -ldl -lm

$(FIDELITY)/%.o: fidelity/%.c
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 -Wall -Wextra -Iinclude -fno-plt -pthread -MMD -MP -O2 -g -c -o $@ $<

$(FIDELITY)/go/fidelity: $(wildcard fidelity/go/*.go) fidelity/go/go.mod
	@mkdir -p $(@D)
	@cd fidelity/go && GOCACHE=$(abspath $(FIDELITY))/go-cache GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
		$(GO) build -trimpath -o $(abspath $@) .

-include $(FIDELITY_OBJECTS:.o=.d)

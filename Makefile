# pitmark's front door: every target is one line. `make help` lists them.
#
# Knobs: QUICK=1  ROUNDS=n  PITFALLS="a b"  CELLS="gcc-O2 clang-Os"  PROFILE=default|wide  OUT=dir
#        RESUME=1  INSTR=1  SEED=n  WORKS="binary-trees churn-100"  ID=name  SAMPLE=name  RUN=id
#        PREFIX=dir  MINUTES=n  PYTEST="-k word"
# They are plain arguments of `python3 -m harness VERB --help`.

PYTHON := /usr/bin/python3
HARNESS := PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m harness
DEPS := @sh harness/bootstrap.sh $(PYTHON)

OUTDIR := $(if $(OUT),--out '$(OUT)')
CHOICE := $(OUTDIR) $(if $(PITFALLS),--pitfalls '$(PITFALLS)') $(if $(CELLS),--cells '$(CELLS)') \
	$(if $(PROFILE),--profile '$(PROFILE)')
ON = $(filter-out 0,$(1))
ROUND := $(if $(call ON,$(QUICK)),--quick) $(if $(ROUNDS),--rounds '$(ROUNDS)') \
	$(if $(call ON,$(RESUME)),--resume)
MEASURE := $(CHOICE) $(ROUND) $(if $(call ON,$(INSTR)),--instr) $(if $(SEED),--seed '$(SEED)')
STORED := $(OUTDIR) $(if $(RUN),--run '$(RUN)')

.DEFAULT_GOAL := help
.PHONY: help deps build test stress lint list bench peers laws report reference repro new-pitfall \
	install clean
.NOTPARALLEL:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14
	@sed -n '/^# Knobs:/,/^# They/s/^# //p' Makefile

deps: ## install the Debian packages that are missing, or print which
	$(DEPS) all

build: ## build every program of the matrix (CELLS, PITFALLS, PROFILE)
	@$(HARNESS) build $(CHOICE)

bench: ## set up, build, measure, judge, draw, report (QUICK=1: 2.5 minutes)
	$(DEPS) bench
	@$(HARNESS) bench $(MEASURE)

peers: ## measure spanheap beside Go, Boehm and malloc (QUICK=1: 12 minutes; WORKS)
	$(DEPS) peers
	@$(HARNESS) peers $(OUTDIR) $(ROUND) $(if $(WORKS),--works '$(WORKS)') \
		$(if $(SEED),--seed '$(SEED)') $(if $(RUN),--run '$(RUN)')

test: ## set up, then run every test
	$(DEPS) test
	@$(HARNESS) test -- $(PYTEST)

stress: ## the allocator's stress program in every configuration (MINUTES=2, SEED)
	$(DEPS) test
	@$(HARNESS) stress $(OUTDIR) $(if $(MINUTES),--minutes '$(MINUTES)') \
		$(if $(SEED),--seed '$(SEED)')

lint: ## clang-format, clang-tidy, gofmt, mypy --strict
	@$(HARNESS) lint

list: ## show pitfalls, variants and cells
	@$(HARNESS) list $(CHOICE)

laws: ## judge the stored run again, without measuring (RUN=id)
	@$(HARNESS) laws $(STORED)

report: ## draw and write the report of the stored run again (RUN=id)
	@$(HARNESS) report $(STORED)

reference: ## make the latest run the one that the READMEs quote
	@$(HARNESS) reference $(OUTDIR)

repro: ## rebuild and rerun one stored sample (SAMPLE=growth/bad/gcc-O2/r03/timed)
	@$(HARNESS) repro $(STORED) '$(SAMPLE)'

new-pitfall: ## make a folder for a new pitfall (ID=my-pitfall)
	@$(HARNESS) new-pitfall '$(ID)'

install: ## install the library spanheap (PREFIX=/usr/local)
	@$(HARNESS) install $(if $(PREFIX),--prefix '$(PREFIX)')

clean: ## delete what was built; results stay
	@$(HARNESS) clean

# pitmark's front door: every target is one line. `make help` lists them.
#
# Knobs: QUICK=1  ROUNDS=n  PITFALLS="a b"  CELLS="gcc-O2 clang-Os"  PROFILE=default|wide  OUT=dir
#        RESUME=1  INSTR=1  SEED=n  WORKS="binary-trees churn-100"  ID=name  SAMPLE=name  RUN=id
#        PREFIX=dir  MINUTES=n  TARGETS="map alloc gc"  PYTEST="-k word"  TURNS=0|1
#        TIMEOUT=s  LIBS="-lm"  HOSTS="a b"  TRIALS=n  JUNIT=file  FORMAT=name  OF=target  TO=file
#        SEEN_LEVELS=all
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
MEASURE := $(CHOICE) $(ROUND) $(if $(call ON,$(INSTR)),--instr) $(if $(SEED),--seed '$(SEED)') \
	$(if $(HOSTS),--hosts '$(HOSTS)')
# What may hold quotes is handed over by the shell's own variable: make has put it there.
ARM = $(foreach name,$(2),$(if $($(name)),$(1)="$$$(name)"))
LETTERS := A B C D E F G H
STORED := $(OUTDIR) $(if $(RUN),--run '$(RUN)')

VERBS := help deps build test stress soak fuzz programs lint list bench compare check baseline \
	doctor validate export peers fidelity laws report reference repro new-pitfall install clean

# What each target takes from the command line. All else would change nothing, and is an error.
ARMS := $(LETTERS) $(LETTERS:%=CMD_%)
TAKES.build := OUT PITFALLS CELLS PROFILE
TAKES.list := $(TAKES.build)
TAKES.bench := $(TAKES.build) QUICK ROUNDS RESUME INSTR SEED HOSTS
TAKES.peers := OUT QUICK ROUNDS RESUME WORKS SEED RUN
TAKES.compare := OUT QUICK ROUNDS RESUME $(ARMS) BASE ALLOC SRC ARGS LIBS PITFALLS \
	CELLS TIMEOUT TURNS SEED RUN
TAKES.check := $(TAKES.build) BASE ROUNDS JUNIT RESUME
TAKES.baseline := $(TAKES.build) RESUME
TAKES.doctor := OUT ROUNDS CELLS
TAKES.validate := OUT TRIALS PITFALLS
TAKES.export := OUT FORMAT OF TO
TAKES.fidelity := OUT
TAKES.test := PYTEST SEEN_LEVELS
TAKES.stress := OUT MINUTES SEED
TAKES.soak := OUT MINUTES
TAKES.fuzz := OUT MINUTES TARGETS SEED
TAKES.laws := OUT RUN
TAKES.report := $(TAKES.laws)
TAKES.reference := OUT
TAKES.repro := OUT RUN SAMPLE
TAKES.new-pitfall := ID
TAKES.install := PREFIX

.DEFAULT_GOAL := help
GOALS := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
TAKEN := $(sort $(foreach goal,$(GOALS),$(TAKES.$(goal))))
GIVEN := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
IN_VAIN := $(filter-out $(TAKEN) PYTHON SHELL MAKEFLAGS,$(GIVEN))
# A make above this one hands down variables that are its own.
ifeq ($(or $(MAKELEVEL),0),0)
ifeq ($(filter-out $(VERBS),$(GOALS)),)
ifneq ($(IN_VAIN),)
$(error make $(GOALS) does not take $(IN_VAIN); it takes $(or $(TAKEN),no variable))
endif
endif
endif

.PHONY: $(VERBS)
.NOTPARALLEL:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14
	@sed -n '/^# Knobs:/,/^# They/s/^# //p' Makefile

deps: ## install the Debian packages that are missing, or print which
	$(DEPS) all

build: ## build every program of the matrix (CELLS, PITFALLS, PROFILE)
	$(DEPS) bench
	@$(HARNESS) build $(CHOICE)

bench: ## set up, build, measure, judge, draw, report (QUICK=1: 2.5 minutes)
	$(DEPS) bench
	@$(HARNESS) bench $(MEASURE)

peers: ## measure spanheap beside Go, Boehm and malloc (QUICK=1: 12 minutes; WORKS)
	$(DEPS) peers
	@$(HARNESS) peers $(OUTDIR) $(ROUND) $(if $(WORKS),--works '$(WORKS)') \
		$(if $(SEED),--seed '$(SEED)') $(if $(RUN),--run '$(RUN)')

compare: ## A="gcc -O2" B="gcc -Os" (SRC="prog.c" ARGS=…), CMD_A=… CMD_B=…, BASE=rev, ALLOC=…
	$(DEPS) compare
	@$(HARNESS) compare $(OUTDIR) $(ROUND) $(call ARM,--arm,$(LETTERS)) \
		$(call ARM,--command,$(LETTERS:%=CMD_%)) $(if $(BASE),--base '$(BASE)') \
		$(if $(ALLOC),--alloc '$(ALLOC)') $(if $(SRC),--source="$$SRC") \
		$(if $(ARGS),--args="$$ARGS") $(if $(LIBS),--libs="$$LIBS") \
		$(if $(PITFALLS),--pitfalls '$(PITFALLS)') $(if $(CELLS),--cell '$(CELLS)') \
		$(if $(TIMEOUT),--timeout '$(TIMEOUT)') $(if $(SEED),--seed '$(SEED)') \
		$(if $(TURNS),$(if $(call ON,$(TURNS)),--turns,--no-turns)) $(if $(RUN),--run '$(RUN)')

check: ## the gate: exact figures against results/baseline.jsonl (BASE=rev: time and memory)
	$(DEPS) compare
	@$(HARNESS) check $(CHOICE) $(if $(BASE),--base '$(BASE)') $(if $(ROUNDS),--rounds '$(ROUNDS)') \
		$(if $(JUNIT),--junit '$(JUNIT)') $(if $(call ON,$(RESUME)),--resume)

baseline: ## take today's exact figures as the ones that make check compares with
	$(DEPS) compare
	@$(HARNESS) baseline $(CHOICE) $(if $(call ON,$(RESUME)),--resume)

doctor: ## how small a change this machine can see, and how long that takes
	$(DEPS) compare
	@$(HARNESS) doctor $(OUTDIR) $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(CELLS),--cell '$(CELLS)')

validate: ## does the method keep its promises here? (slow; TRIALS=20)
	$(DEPS) compare
	@$(HARNESS) validate $(OUTDIR) $(if $(TRIALS),--trials '$(TRIALS)') \
		$(if $(PITFALLS),--pitfalls '$(PITFALLS)')

export: ## the latest run for another tool (FORMAT=go|hyperfine|csv|…, OF=target, TO=file)
	@$(HARNESS) export $(OUTDIR) --format '$(FORMAT)' $(if $(OF),--target '$(OF)') \
		$(if $(TO),--to '$(TO)')

fidelity: ## compare facts about Go's runtime with the same here
	$(DEPS) fidelity
	@$(HARNESS) fidelity $(OUTDIR)

# SEEN_LEVELS reaches the tests by the environment: make has put it there.
test: ## set up, then run every test (PYTEST, SEEN_LEVELS=all)
	$(DEPS) test
	@$(HARNESS) test -- $(PYTEST)

stress: ## the allocator's stress program in every configuration (MINUTES=2, SEED)
	$(DEPS) test
	@$(HARNESS) stress $(OUTDIR) $(if $(MINUTES),--minutes '$(MINUTES)') \
		$(if $(SEED),--seed '$(SEED)')

soak: ## an hour of programs whose live size is constant: is their memory flat? (MINUTES=60)
	$(DEPS) test
	@$(HARNESS) soak $(OUTDIR) $(if $(MINUTES),--minutes '$(MINUTES)')

fuzz: ## the allocator beside models, by libFuzzer, drop-ins too (MINUTES=3, TARGETS, SEED)
	$(DEPS) test
	@$(HARNESS) fuzz $(OUTDIR) $(if $(MINUTES),--minutes '$(MINUTES)') \
		$(if $(TARGETS),--targets '$(TARGETS)') $(if $(SEED),--seed '$(SEED)')

programs: ## programs of the distribution on both drop-ins: do they write the same as ever?
	$(DEPS) test
	@$(MAKE) --no-print-directory -k -C allocator gc-programs malloc-programs

lint: ## clang-format, clang-tidy, gofmt, mypy --strict, lengths of files and lines
	$(DEPS) lint
	@$(HARNESS) lint

list: ## show pitfalls, variants and cells
	@$(HARNESS) list $(CHOICE)

laws: ## judge the stored run again, without measuring (RUN=id)
	@$(HARNESS) laws $(STORED)

report: ## draw and write the report of the stored run again (RUN=id)
	$(DEPS) bench
	@$(HARNESS) report $(STORED)

reference: ## make the latest run the one that the READMEs quote
	@$(HARNESS) reference $(OUTDIR)

repro: ## rebuild and rerun one stored sample (SAMPLE=growth/bad/gcc-O2/r03/timed)
	$(DEPS) bench
	@$(HARNESS) repro $(STORED) '$(SAMPLE)'

new-pitfall: ## make a folder for a new pitfall (ID=my-pitfall)
	@$(HARNESS) new-pitfall '$(ID)'

install: ## install the library spanheap (PREFIX=/usr/local)
	@$(HARNESS) install $(if $(PREFIX),--prefix '$(PREFIX)')

clean: ## delete what was built; results stay
	@$(HARNESS) clean

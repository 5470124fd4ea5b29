# MagGAN's Table 3 from one command. `make` alone prints the targets below.
# Written for GNU make 3.81 and sh, so that the one on macOS will do.

PROFILE ?= drawn64
ROW     ?= maggan

# Folders. Make's own names may be relative, and CELEBA and the checkout may have spaces in them; what commands
# inherit is absolute, for notebooks run in their own folder.
from_here = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))
absolute  = $(call from_here,$(patsubst ~/%,$(HOME)/%,$(1)))
quoted    = '$(subst ','\'',$(1))'
RUNS    := $(or $(MAGGAN_RUNS),runs)
RESULTS := $(or $(MAGGAN_RESULTS),results)
STORE   := $(or $(MASKS),$(RUNS)/masks)
ifneq ($(words $(RUNS) $(RESULTS) $(STORE)),3)
$(error MAGGAN_RUNS, MAGGAN_RESULTS and MASKS must be names without spaces)
endif
override MAGGAN_RUNS := $(call absolute,$(RUNS))
override MAGGAN_RESULTS := $(call absolute,$(RESULTS))
override MASKS := $(call absolute,$(STORE))
export MAGGAN_RUNS MAGGAN_RESULTS MASKS
ifneq ($(CELEBA),)
override CELEBA := $(call absolute,$(CELEBA))
export CELEBA
endif

# Table 3's, slowest first, so that no long row is left running alone at the end
TABLE3  := stgan-cycle maggan-seg maggan maggan-no-mre maggan-no-spade stgan-mre stgan
PEERS   := attgan stargan fadernet icgan
SWEEP   := maggan-mre10 maggan-mre50 maggan-mre200
# one shallow, one deep and multi-level discriminators; `maggan` itself is the profile's own of the three (reading 18),
# and at 256 px all three are the same
WAYS    := maggan-single maggan-deep maggan-multilevel
LEVELS  := $(filter-out $(if $(filter %512 %1024,$(PROFILE)),maggan-multilevel,maggan-single),$(WAYS))
LEVELS  := $(if $(filter %256,$(PROFILE)),,$(LEVELS))
KNOWN   := $(TABLE3) $(PEERS) $(SWEEP) $(WAYS)
ROWS    := $(TABLE3)
ALL_SEEDS := $(or $(SEEDS),0 1 2)
SEEDS   ?= 0
# what the table shows beside the rows: the photos themselves, and on drawn faces the true edit
LIMITS   = no-edit $(if $(filter drawn,$(WORLD)),true-edit)

WORLD   := $(if $(filter celeba%,$(PROFILE)),celeba,drawn)
HERE    := $(RUNS)/$(PROFILE)
OUT     := $(RESULTS)/$(PROFILE)
TABLE   := $(OUT)/tables/table3.md
HALVES  := 64:32 128small:64 128:64 256:128 512:256 1024:512
HALF    := $(patsubst $(PROFILE):%,$(WORLD)%,$(filter $(PROFILE):%,$(addprefix $(WORLD),$(HALVES))))
OF_HALF := $(if $(HALF),$(patsubst %,$(RESULTS)/$(HALF)/metrics/%-seed0.json,attgan stgan))
FACES   := $(HERE)/faces/.ready
JUDGED_BY := $(HERE)/judges/.ready
JUDGES  := $(HERE)/judges/classifier.safetensors
# Figures: the paper's, and beyond it those that the rows and the world allow.
ALL_ROWS := $(if $(findstring command,$(origin ROWS)),$(ROWS),$(TABLE3) $(PEERS) $(SWEEP) $(LEVELS))
has      = $(if $(filter-out $(ALL_ROWS),$(1)),,$(2))
MORE    := peers curves directions leakage blending distances cost truth sweep
NAMED   := fig1 fig2 fig3 fig4 fig5 fig6 fig7 fig8 fig9 $(MORE)
FIGURES := $(filter-out $(if $(filter drawn,$(WORLD)),,truth) \
	$(if $(and $(LEVELS),$(call has,$(LEVELS),yes)),,fig9) $(if $(call has,$(SWEEP),yes),,sweep),$(NAMED))
PRINTED := $(wildcard results/paper/*.csv results/reference/$(PROFILE)/metrics/*.json)
# $(call METRICS_OF,rows,seeds)
METRICS_OF = $(foreach seed,$(2),$(patsubst %,$(OUT)/metrics/%-seed$(seed).json,$(1)))
METRICS  = $(call METRICS_OF,$(ROWS),$(SEEDS)) $(call METRICS_OF,$(LIMITS),0)
# tables take every seed on the disk, so all of a row's must be of the same code
SEEDS_THERE = $(wildcard $(foreach row,$(ROWS),$(OUT)/metrics/$(row)-seed*.json))
# `make all` trains seed 0 of every row, and of the rows that most is said of the seeds in SEEDS, three unless it is set.
SEEDED  := $(filter stgan maggan,$(ALL_ROWS))
# $(call LEARNT_OF,seeds)
LEARNT_OF = $(foreach seed,$(1),$(patsubst %,$(HERE)/%-seed$(seed)/.learnt,maggan $(LEVELS)))
LEARNT   = $(call LEARNT_OF,$(SEEDS))
ALL      = $(sort $(call METRICS_OF,$(ALL_ROWS) $(LIMITS),0) $(call METRICS_OF,$(SEEDED),$(ALL_SEEDS))) \
	$(OF_HALF) $(if $(filter fig9,$(FIGURES)),$(call LEARNT_OF,0))
TRAINED  = $(call DONE,07-train-a-row-$(1))
JUDGED   = $(call DONE,08-evaluate-a-row-$(1))

# Rows run side by side, one thread each: two such processes beat one process with two threads.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
GPU   := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -m 1 '^GPU')
AT_MOST := $(shell [ $(CORES) -lt 7 ] && echo $(CORES) || echo 7)
JOBS  ?= $(if $(GPU),1,$(AT_MOST))
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif
ifneq ($(JOBS),1)
ONE_THREAD := OMP_NUM_THREADS=1
endif

# The environment: Python 3.11 or 3.12 of this machine, and exactly what requirements.lock says. With PYTHON=python3
# on the command line, that Python and what it has, from a checkout that need not be installed.
ENV    := .venv
UV     := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
PYTHON := $(ENV)/bin/python
ifeq ($(origin PYTHON),command line)
READY  :=
SYSTEM_PYTHON := $(PYTHON)
override PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))
export PYTHONPATH
PAPERMILL := $(shell $(PYTHON) -c 'from importlib.util import find_spec as at; \
	print("yes" if at("papermill") and at("ipykernel") else "")')
else
READY  := $(ENV)/.ready
SYSTEM_PYTHON := $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
PAPERMILL := yes
endif

# Real photos: which parser reads them. One that is named (PARSER=79999_iter.pth) is an input like the photos; ours
# is trained where masks are wanted and there are none.
OURS   := $(RUNS)/parser/parser.safetensors
PARSER ?= $(OURS)
INPUTS := $(RUNS)/.code/masks
ifneq ($(PARSER),$(OURS))
READS  := $(INPUTS)/parser
else
READS  := $(if $(wildcard $(STORE)/store.json),$(wildcard $(OURS)),$(OURS))
endif

# What depends on which code: one file an entry point, rewritten only when code that it reaches has changed.
STAMPS := $(RUNS)/.code/$(WORLD)
CODE    = $(patsubst %,$(STAMPS)/%,$(1))
ENTRIES := data judges evaluate learning tables gallery report $(patsubst notebooks/%.ipynb,%,$(wildcard notebooks/[0-9]*.ipynb))
STAMP   = $(shell $(SYSTEM_PYTHON) maggan/dependencies.py $(1) || echo "see the message above")
GOALS  := $(filter-out help,$(or $(MAKECMDGOALS),help))
ifneq ($(GOALS),)
ifeq ($(SYSTEM_PYTHON),)
$(error Python 3.11 or 3.12 is needed; install one so that python3.11, python3.12 or python3 is it)
endif
endif
GOALS  := $(filter-out env lock lab demo test,$(GOALS))
ifneq ($(GOALS),)
WRONG  := $(call STAMP,--profile=$(call quoted,$(PROFILE)) $(STAMPS) $(WORLD) $(ENTRIES))
ifneq ($(WRONG),)
$(error $(WRONG))
endif
endif
NO_PHOTOS := bench bench-gpu clean parser table2 rate claims report fig3 fig6 fig7 $(filter-out peers,$(MORE))
OF_PHOTOS := $(if $(filter celeba,$(WORLD)),$(filter-out $(NO_PHOTOS),$(GOALS)),$(filter masks,$(GOALS)))
ifneq ($(OF_PHOTOS),)
ifeq ($(and $(CELEBA),$(shell [ -d $(call quoted,$(CELEBA)) ] && echo yes)),)
$(error $(firstword $(OF_PHOTOS)) needs CelebA photos: make $(firstword $(OF_PHOTOS)) PROFILE=$(PROFILE) CELEBA=folder, \
which holds img_align_celeba, list_attr_celeba.txt and list_eval_partition.txt$(if $(CELEBA), ($(CELEBA) is no folder)))
endif
WRONG  := $(call STAMP,--input photos=$(call quoted,$(CELEBA)) $(if $(filter $(INPUTS)/parser,$(READS)),\
	--input parser=$(call quoted,$(call absolute,$(PARSER)))) $(INPUTS) masks maskbuild)
ifneq ($(WRONG),)
$(error $(WRONG))
endif
endif

# A notebook with parameters; without papermill, the command that does the notebook's work.
# $(call RUN,notebook,what it leaves,its parameters,the command)
ifneq ($(PAPERMILL),)
DONE = $(OUT)/notebooks/$(1).ipynb
RUN  = $(ONE_THREAD) $(PYTHON) -m maggan.notebook notebooks/$(1).ipynb $(2) $(3)
else
DONE = $(HERE)/.done/$(1)
RUN  = $(ONE_THREAD) MAGGAN_PLAIN=1 $(PYTHON) -m maggan.$(4) && mkdir -p $(dir $(2)) && touch $(2)
endif

# What was measured, whatever the profile: one file, rewritten only when a metrics file says something else, so that
# what looks at all of them trains none of them.
MEASURED := $(RUNS)/.code/measured
ifneq ($(filter table1 table2 claims all-notebooks report fig% $(MORE),$(GOALS)),)
IGNORED  := $(shell mkdir -p $(RUNS)/.code; \
	now=$$(cat $(RESULTS)/*/metrics/*.json $(RESULTS)/*/learning/*.json $(RESULTS)/*/study/votes/people/*.csv /dev/null 2>/dev/null | cksum); \
	[ "$$now" = "$$(cat $(MEASURED) 2>/dev/null)" ] || echo "$$now" > $(MEASURED))
endif
SHOWN    := $(RUNS)/.code/$(PROFILE)-shown
ifneq ($(filter report,$(GOALS)),)
IGNORED  := $(shell mkdir -p $(RUNS)/.code; \
	now=$$(ls $(OUT)/notebooks 2>/dev/null; cat $(OUT)/figures/*.png $(OUT)/tables/* /dev/null 2>/dev/null | cksum); \
	[ "$$now" = "$$(cat $(SHOWN) 2>/dev/null)" ] || echo "$$now" > $(SHOWN))
endif
ifneq ($(filter-out $(KNOWN),$(ROWS)),)
$(error unknown row '$(firstword $(filter-out $(KNOWN),$(ROWS)))' in ROWS; the rows are $(KNOWN))
endif
ifneq ($(shell echo "$(SEEDS)" | tr -d '0-9 '),)
$(error SEEDS is "$(SEEDS)"; name whole numbers, as in SEEDS="0 1 2")
endif

# another make for the same folders, by their relative names: the exported absolute ones may have spaces in them
HERE_AGAIN = $(MAKE) --no-print-directory MAGGAN_RUNS=$(RUNS) MAGGAN_RESULTS=$(RESULTS) MASKS=$(STORE)

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help
.PHONY: help table1 table2 table3 claims figures $(NAMED) learning all report rows of-half row faces judges lab demo all-notebooks parser masks study rate test bench bench-gpu reference lock env clean unknown-row

help:  ## this text
	@echo "make TARGET [PROFILE=$(PROFILE)] [CELEBA=folder]"
	@sed -n 's/^\([a-z0-9-]*\):.*  ## \(.*\)/  \1@\2/p' Makefile | awk -F@ '{ printf "%-16s %s\n", $$1, $$2 }'

table3: $(TABLE)  ## Table 3: faces, judges, seven rows side by side, evaluation, table
	@echo "table3 is up to date: $(TABLE)"
	@cat $(TABLE)

table1: $(OUT)/tables/table1.md  ## Table 1: AttGAN and STGAN at half the size, STGAN and MagGAN at the profile's
	@echo "table1 is up to date: $<"
	@cat $<

table2: $(OUT)/tables/table2.md  ## Table 2: what people prefer; ours is empty until there are ratings (make rate)
	@echo "table2 is up to date: $<"
	@cat $<

claims: $(OUT)/tables/claims.md  ## the paper's claims, judged from the rows that were run
	@cat $<

figures:  ## Figures 1 to 9, or one of them (make fig6), and those beyond the paper
	+@$(HERE_AGAIN) --keep-going $(FIGURES)

$(NAMED): %: $(OUT)/figures/%.png
	@echo "$@ is up to date: $<"

UNKNOWN := $(filter-out figures $(NAMED),$(filter fig%,$(GOALS)))
ifneq ($(UNKNOWN),)
$(UNKNOWN): | $(READY)
	@$(PYTHON) -m maggan.gallery $@ $(PROFILE)
endif

all: $(ALL)  ## everything of a profile: rows, seeds, tables, figures, claims, notebooks, report
	+@$(HERE_AGAIN) SEEDS=0 $(if $(HALF),table1) table2 table3
	+@$(HERE_AGAIN) SEEDS=0 figures claims
	$(if $(PAPERMILL),+@$(HERE_AGAIN) SEEDS=0 all-notebooks)
	+@$(HERE_AGAIN) SEEDS=0 report

report: $(OUT)/report.html  ## one HTML page: tables, figures, verdicts, settings, versions
	@echo "report is up to date: $<"

learning: $(LEARNT)  ## the curves of Figure 9, from the snapshots of three rows

rows: $(METRICS)  ## the rows in ROWS, trained and evaluated, without the table

row: $(if $(filter $(ROW),$(KNOWN)),$(call METRICS_OF,$(ROW),$(SEEDS)),$(if $(filter $(ROW),$(LIMITS)),$(call METRICS_OF,$(ROW),0),unknown-row))  ## one row, trained and evaluated: make row ROW=maggan
	@echo "$(ROW) is up to date: $^"

unknown-row: $(READY)
	@$(PYTHON) -m maggan.train $(ROW) $(PROFILE)

faces: $(FACES)  ## the faces of a profile, drawn or read from CELEBA

judges: $(JUDGES)  ## the attribute classifier and the network behind FID

parser: $(OURS)  ## the face parser, trained on CelebAMask-HQ pairs: make parser PAIRS=folder

masks: $(STORE)/.ready  ## soft part masks of all photos in CELEBA

# in a container one is often root, which Jupyter refuses unless told
AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)
# an upload is one message to the kernel: as large a one as page/voila.json allows
LARGE = --ServerApp.tornado_settings="{'websocket_max_message_size': 134217728}"
lab: $(READY)  ## JupyterLab on the notebooks, in the locked environment: make lab [MODEL=folder PARSER=file]
	$(PARSER_ALONE)
	$(OF_PHOTO) $(PYTHON) -m jupyter lab --notebook-dir=. $(LARGE) --LabApp.news_url=None \
		--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate $(AS_ROOT) notebooks/00-start-here.ipynb

# ------------------------------------------------------------------------------------------------ the demo

# page/ holds Voila's settings (this machine alone, no sources, no other host) and its page.
VOILA = JUPYTER_PATH=$(call quoted,$(CURDIR)/page) JUPYTER_CONFIG_PATH=$(call quoted,$(CURDIR)/page) $(PYTHON) -m voila \
	$(if $(PORT),--port=$(PORT))

# Photos are edited by a model of one's own: MODEL=folder of a run, and the parser that its masks were made with.
OF_PHOTO = $(if $(MODEL),MAGGAN_MODEL=$(call quoted,$(call absolute,$(MODEL))) MAGGAN_PARSER=$(call quoted,$(call absolute,$(PARSER))))
PARSER_ALONE = $(if $(MODEL),,$(if $(filter command,$(firstword $(origin PARSER))),$(error \
	PARSER is the parser of a model for photos; name that too: make $@ MODEL=folder PARSER=file)))
demo: $(READY)  ## the edit studio as a page in the browser: make demo [MODEL=folder PARSER=file]
	$(PARSER_ALONE)
	$(OF_PHOTO) $(VOILA) notebooks/15-edit-studio.ipynb

# those of figures only where the rows they look at are wanted
NOTEBOOKS := $(wildcard notebooks/0[0-6]*.ipynb notebooks/10*.ipynb $(call has,stgan maggan $(LEVELS),notebooks/12*.ipynb) \
	$(call has,maggan $(LEVELS),notebooks/14*.ipynb) \
	$(call has,stgan maggan maggan-no-mre $(SWEEP),notebooks/13*.ipynb))
all-notebooks: $(TABLE) $(OUT)/tables/claims.md $(patsubst notebooks/%,$(OUT)/notebooks/%,$(NOTEBOOKS))  ## every notebook but the two pages, 15 and 16, executed with this profile

env: $(READY)  ## the locked environment in .venv

# ------------------------------------------------------------------------------------------- environment

ifneq ($(READY),)
$(READY): requirements.lock pyproject.toml | $(filter .uv/%,$(UV))
	@echo "environment: installing what requirements.lock says into $(ENV)"
	$(PYTHON) -c '' 2>/dev/null || { rm -rf $(ENV); $(UV) venv --quiet --no-python-downloads --python $(SYSTEM_PYTHON) $(ENV); }
	$(UV) pip sync --quiet --python $(PYTHON) --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	@touch $@
# an environment whose Python was taken away is made anew
$(if $(shell [ -x $(PYTHON) ] && echo yes),,$(eval .PHONY: $(READY)))
endif

.uv/bin/uv:
	$(SYSTEM_PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet uv

requirements.lock: ;

lock: $(filter .uv/%,$(UV))  ## choose versions anew and write requirements.lock
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet --output-file requirements.lock

# ------------------------------------------------------------------------------------- faces to Table 3

$(FACES): $(call CODE,data) $(if $(filter celeba,$(WORLD)),$(STORE)/.ready $(INPUTS)/photos) | $(READY)
	MAGGAN_PLAIN=1 $(PYTHON) -m maggan.data $(PROFILE)
	@mkdir -p $(@D) && touch $@

# What the same code and settings have trained already is left as it is, and takes seconds. So weights follow
# from the file that says they were looked at (`+@:` has make look at their time again, even under -n), but
# only weights trained anew are newer than what they lead to. Where a product was deleted, make starts from
# what it follows from.
WEIGHTS = $(HERE)/$(1)/weights.safetensors
again_without = $(if $(wildcard $(1)),,$(eval .PHONY: $(2)))

$(JUDGED_BY): $(call CODE,judges) $(FACES) | $(READY)
	$(ONE_THREAD) MAGGAN_PLAIN=1 $(PYTHON) -m maggan.judges $(PROFILE)
	@touch $@

$(JUDGES): $(JUDGED_BY)
	+@:
$(call again_without,$(JUDGES),$(JUDGED_BY))

# of one run, "row-seed0"
SPLIT = $(subst -seed, ,$(1))
define TRAIN_AND_JUDGE
$(call TRAINED,$(1)): notebooks/07-train-a-row.ipynb $(call CODE,07-train-a-row) $(FACES) | $(READY)
	$$(call RUN,07-train-a-row,$$@,row=$(2) profile=$(PROFILE) seed=$(3),train $(2) $(PROFILE) --seed $(3))

$(call WEIGHTS,$(1)): $(call TRAINED,$(1))
	+@:

$(call JUDGED,$(1)): notebooks/08-evaluate-a-row.ipynb $(call CODE,evaluate) $(call WEIGHTS,$(1)) $(JUDGES) | $(READY)
	$$(call RUN,08-evaluate-a-row,$$@,row=$(2) profile=$(PROFILE) seed=$(3),evaluate $(2) $(PROFILE) --seed $(3))

$(OUT)/metrics/$(1).json: $(call JUDGED,$(1))
	+@:
endef
ONES := $(foreach seed,$(sort 0 1 2 $(SEEDS)),$(addsuffix -seed$(seed),$(KNOWN)))
$(foreach one,$(ONES),$(eval $(call TRAIN_AND_JUDGE,$(one),$(firstword $(call SPLIT,$(one))),$(lastword $(call SPLIT,$(one))))))
$(foreach one,$(ONES),$(call again_without,$(call WEIGHTS,$(one)),$(call TRAINED,$(one))))
$(foreach one,$(ONES),$(call again_without,$(OUT)/metrics/$(one).json,$(call JUDGED,$(one))))

$(patsubst %,$(OUT)/metrics/%-seed0.json,$(LIMITS)): $(OUT)/metrics/%-seed0.json: $(call CODE,evaluate) $(JUDGES) | $(READY)
	$(ONE_THREAD) MAGGAN_PLAIN=1 $(PYTHON) -m maggan.evaluate $* $(PROFILE)

$(TABLE): notebooks/09-table3.ipynb $(call CODE,09-table3) $(sort $(METRICS) $(SEEDS_THERE)) $(PRINTED) | $(READY)
	$(call RUN,09-table3,$(call DONE,09-table3),profile=$(PROFILE),tables table3 $(PROFILE) >/dev/null)

$(OUT)/tables/table1.md: $(call CODE,tables) $(patsubst %,$(OUT)/metrics/%-seed0.json,stgan maggan) $(OF_HALF) $(PRINTED) $(MEASURED) | $(READY)
	$(PYTHON) -m maggan.tables table1 $(PROFILE) >/dev/null

# A mark, not the curve itself: make deletes its targets when it is interrupted, and half a curve is gone on with.
LEARN := $(call LEARNT_OF,$(sort 0 1 2 $(SEEDS)))
$(LEARN): $(HERE)/%/.learnt: $(call CODE,learning) $(HERE)/%/weights.safetensors $(JUDGES) | $(READY)
	$(ONE_THREAD) MAGGAN_PLAIN=1 $(PYTHON) -m maggan.learning $(firstword $(call SPLIT,$*)) $(PROFILE) --seed $(lastword $(call SPLIT,$*)) >/dev/null
	@touch $@

$(foreach mark,$(LEARN),$(call again_without,$(OUT)/learning/$(notdir $(patsubst %/,%,$(dir $(mark)))).json,$(mark)))

# Figures are drawn from what is on the disk; they train nothing, but wait for a curve that is asked for as well.
$(OUT)/figures/fig9.png: | $(if $(filter learning,$(GOALS)),$(LEARNT))
$(OUT)/figures/%.png: $(call CODE,gallery) $(MEASURED) | $(READY)
	$(ONE_THREAD) MAGGAN_PLAIN=1 $(PYTHON) -m maggan.gallery $* $(PROFILE) >/dev/null

# Of a page of everything nothing is trained or drawn: what it shows is looked at, not asked for.
$(OUT)/report.html: $(call CODE,report) $(SHOWN) $(MEASURED) | $(READY)
	$(PYTHON) -m maggan.report $(PROFILE) >/dev/null

$(OUT)/tables/table2.md: $(call CODE,tables) $(PRINTED) $(MEASURED) | $(READY)
	$(PYTHON) -m maggan.tables table2 $(PROFILE) >/dev/null

$(OUT)/tables/claims.md: notebooks/11-claims.ipynb $(call CODE,11-claims) $(MEASURED) | $(READY) $(if $(filter table3,$(GOALS)),$(TABLE)) $(if $(filter table1,$(GOALS)),$(OUT)/tables/table1.md)
	$(call RUN,11-claims,$(call DONE,11-claims),profile=$(PROFILE),claims $(PROFILE) >/dev/null)

# the half size is a profile of its own, with its own faces and judges: one make for both of its rows
of-half: $(if $(filter celeba,$(WORLD)),$(STORE)/.ready) | $(READY)
	+@$(HERE_AGAIN) rows PROFILE=$(HALF) ROWS="attgan stgan" SEEDS=0

$(OF_HALF): of-half
	+@:

# Those of figures look at rows, which must not be trained in two notebooks at once.
$(OUT)/notebooks/12-figures.ipynb: $(MEASURED) | $(call METRICS_OF,stgan maggan $(LEVELS),0) $(call LEARNT_OF,0)
$(OUT)/notebooks/14-high-resolution.ipynb: $(MEASURED) | $(call METRICS_OF,maggan $(LEVELS),0) $(call LEARNT_OF,0)
$(OUT)/notebooks/13-beyond-the-paper.ipynb: $(MEASURED) | $(call METRICS_OF,stgan maggan maggan-no-mre $(SWEEP) $(LIMITS),0)

# 01, 04, 06, 10, 12 and 13 take a profile; the others draw what they show
$(OUT)/notebooks/%.ipynb: notebooks/%.ipynb $(STAMPS)/% $(FACES) $(JUDGES) | $(READY)
	$(ONE_THREAD) $(PYTHON) -m maggan.notebook $< $@ $(if $(filter 01-% 04-% 06-% 1%,$*),profile=$(PROFILE))

# ----------------------------------------------------------------------------------- masks of real photos

# A trained parser stays, whatever happens to the code: every store of masks names the one parser it was made with.
$(OURS): | $(READY)
	@[ -n "$(PAIRS)" ] || { echo "no parser yet: train one, PAIRS=folder of CelebAMask-HQ, or name one," \
		"PARSER=79999_iter.pth" >&2; exit 2; }
	MAGGAN_PLAIN=1 $(PYTHON) -m maggan.parser train --pairs "$(PAIRS)" --out $@

$(STORE)/.ready: $(INPUTS)/maskbuild $(INPUTS)/photos $(READS) | $(READY)
ifeq ($(READS),)
	@echo "masks: those in $(STORE) are taken as they are, for there is no parser; photos without masks are left out"
else
	MAGGAN_PLAIN=1 $(PYTHON) -m maggan.masks build --parser "$(PARSER)" --photos "$$CELEBA" --out $(STORE)
endif
	@touch $@

# --------------------------------------------------------------------------------------------- the study

# Neither trains a row: the study takes the weights that are there.
study: | $(READY)  ## 500 pairs of edits for people to rate (seed 0 unless SEEDS=n), as for Table 2
	$(ONE_THREAD) MAGGAN_PLAIN=1 $(PYTHON) -m maggan.study $(PROFILE) --seed $(firstword $(SEEDS))

rate: | $(READY)  ## the page on which people rate them, in the browser, of this machine alone
	MAGGAN_PROFILE=$(PROFILE) $(VOILA) notebooks/16-rate-edits.ipynb

# ------------------------------------------------------------------------------------- the project itself

test: $(READY)  ## ruff, the tests, and every notebook at smoke size
	$(PYTHON) -m ruff check .
	rm -rf $(RUNS)/test
	export MAGGAN_RUNS="$(MAGGAN_RUNS)/test/runs" MAGGAN_RESULTS="$(MAGGAN_RUNS)/test/results" OMP_NUM_THREADS=1 MAGGAN_PLAIN=1; \
	$(PYTHON) -m maggan.data smoke && $(PYTHON) -m maggan.judges smoke && \
	$(PYTHON) -m pytest -q -n $(AT_MOST) --nbval-lax --nbval-current-env \
		--nbval-cell-timeout=300 --nbval-sanitize-with tests/nbval.cfg

bench: $(READY)  ## speeds that the project relies on, as ratios
	$(PYTHON) benchmarks/speed.py

bench-gpu: $(READY)  ## what only a GPU can show: speeds, memory, rows at 256 to 1024 px
	$(PYTHON) benchmarks/on_a_gpu.py

reference: $(TABLE)  ## make this run of the profile the reference that later tables are compared with
	$(PYTHON) -m maggan.reference $(PROFILE) $(if $(findstring command,$(origin ROWS)),$(ROWS))

clean:  ## delete what was made for PROFILE (photos, their masks and a study that people have rated stay)
	rm -rf $(HERE) $(if $(wildcard $(OUT)/study/votes/people/*.csv),$(filter-out $(OUT)/study,$(wildcard $(OUT)/*)),$(OUT))

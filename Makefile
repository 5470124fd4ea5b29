# MagGAN's tables and figures from one command; `make` alone prints the targets. For GNU make 3.81 and sh.
# Which rows, figures and sizes there are, Python knows: `python -m maggan.plan` writes it to a file that is included.
PROFILE ?= drawn64
ROW     ?= maggan
ALL_SEEDS := $(or $(SEEDS),0 1 2)
SEEDS   ?= 0
RUNS    := $(or $(MAGGAN_RUNS),runs)
RESULTS := $(or $(MAGGAN_RESULTS),results)
MASKS   ?= $(RUNS)/masks
OURS    := $(RUNS)/parser/parser.safetensors
PARSER  ?= $(OURS)
HERE    := $(RUNS)/$(PROFILE)
OUT     := $(RESULTS)/$(PROFILE)
CODE    := $(HERE)/.code
INPUTS  := $(RUNS)/.code/inputs
export MAGGAN_PLAIN := 1
$(if $(filter-out 3,$(words $(RUNS) $(RESULTS) $(MASKS))),$(error MAGGAN_RUNS, MAGGAN_RESULTS and MASKS must have no spaces))
$(if $(shell echo "$(SEEDS)" | tr -d '0-9 '),$(error SEEDS is "$(SEEDS)"; name whole numbers, as in SEEDS="0 1 2"))
# Rows run side by side, one thread each: two such processes beat one with two threads. On a GPU they run one by one.
CORES := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); [ $$n -lt 7 ] && echo $$n || echo 7)
JOBS  ?= $(if $(shell nvidia-smi -L 2>/dev/null | grep -m 1 '^GPU'),1,$(CORES))
MAKEFLAGS += --no-print-directory $(if $(filter 0,$(MAKELEVEL)),-j$(JOBS))
# The environment, with exactly what requirements.lock says; PYTHON=python3 on the command line: that Python, as it is.
PYTHON := .venv/bin/python
UV     := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
READY  := $(if $(filter command%,$(origin PYTHON)),,.venv/.ready)
export PYTHONPATH := $(if $(READY),$(PYTHONPATH),$(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH)))
M      := $(PYTHON) -m maggan
ONE    := $(if $(filter 1,$(JOBS)),,OMP_NUM_THREADS=1) $(M)

GOALS  := $(filter-out help env lock lab demo rate test bench bench-gpu clean,$(or $(MAKECMDGOALS),help))
PLAN   := $(RUNS)/.code/$(PROFILE).mk
$(if $(GOALS),$(eval include $(PLAN)))
$(PLAN): $(patsubst %,maggan/%.py,plan config profiles variants) $(wildcard $(patsubst %,maggan/%/*.py,systems data report)) | $(READY)
	@mkdir -p $(@D) && $(M).plan $(PROFILE) > $@.new && mv $@.new $@ || { rm -f $@.new; exit 2; }
ROWS    ?= $(TABLE3)
$(foreach row,$(if $(KNOWN),$(filter-out $(KNOWN),$(ROWS))),$(error unknown row '$(row)' in ROWS; the rows are $(KNOWN)))
WANTED  := $(if $(filter command%,$(origin ROWS)),$(ROWS),$(EVERY))
of       = $(foreach seed,$(2),$(addsuffix -seed$(seed),$(1)))# $(call of,rows,seeds): runs
metrics  = $(patsubst %,$(OUT)/metrics/%.json,$(call of,$(1),$(2)))
curves   = $(patsubst %,$(HERE)/%/.learnt,$(call of,$(LEARNT),$(1)))
METRICS := $(call metrics,$(ROWS),$(SEEDS)) $(call metrics,$(LIMITS),0)
TABLED  := $(METRICS) $(wildcard $(ROWS:%=$(OUT)/metrics/%-seed*.json))# other seeds that are there count too
FIGURES := $(foreach figure,$(ALL_FIGURES),$(if $(filter-out $(WANTED),$(NEEDS_$(figure))),,$(figure)))

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help figures all row lab demo study rate test bench bench-gpu reference lock clean looked FORCE
help:  ## - this text
	@echo "make TARGET [PROFILE=$(PROFILE)] [CELEBA=folder]  (the numbers: minutes for drawn64 on 2 CPU cores)"
	@sed -n 's/^\([a-z0-9-]*\):.*  ## \([^ ]*\) \(.*\)/\1@\2@\3/p' Makefile | awk -F@ '{ printf "%-14s %4s  %s\n", $$1, $$2, $$3 }'

table3: $(OUT)/tables/table3.md  ## 70 Table 3: faces, judges, seven rows side by side, evaluation, table
table1: $(OUT)/tables/table1.md  ## 8 Table 1: AttGAN and STGAN at half the size, STGAN and MagGAN at the profile's
table2: $(OUT)/tables/table2.md  ## 0 Table 2: what people prefer; ours is empty until there are ratings (make rate)
claims: $(OUT)/tables/claims.md  ## 0 the paper's claims, judged from the rows that were run
report: $(OUT)/report.html  ## 1 one HTML page: tables, figures, verdicts, settings, versions
$(ALL_FIGURES): %: $(OUT)/figures/%.png
table1 table2 table3 claims report $(ALL_FIGURES):
	@echo "$@ is up to date: $<"$(if $(filter %.md,$<), && $(if $(filter table3,$@),$(M).tables table3 $(PROFILE) --brief,cat $<))
figures:  ## 5 Figures 1 to 9, or one of them (make fig6), and those beyond the paper
	+@$(MAKE) --keep-going $(FIGURES)
learning: $(call curves,$(SEEDS))  ## 15 the curves of Figure 9, from the snapshots of three rows
rows: $(METRICS)  ## 70 the rows in ROWS, trained and evaluated, without the table
row: $(if $(filter $(ROW),$(KNOWN)),$(call metrics,$(ROW),$(SEEDS)),$(call metrics,$(filter $(ROW),$(LIMITS)),0)) | $(READY)  ## 15 one row, trained and evaluated: make row ROW=maggan
	@$(if $^,echo "$(ROW) is up to date: $^",$(M).train "$(ROW)" $(PROFILE))
all: $(sort $(call metrics,$(WANTED) $(LIMITS),0) $(call metrics,$(filter $(SEEDED),$(WANTED)),$(ALL_SEEDS)) $(if $(filter fig9,$(FIGURES)),$(call curves,0)))  ## 195 everything of a profile: rows, seeds, tables, figures, claims, notebooks, report
	+@for goals in "$(if $(HALF),table1) table2 table3" "figures claims" all-notebooks report; do $(MAKE) SEEDS=0 $$goals || exit 2; done
faces: $(HERE)/faces/.ready  ## 2 the faces of a profile, drawn or read from CELEBA
judges: $(HERE)/judges/.ready  ## 7 the attribute classifier and the network behind FID
parser: $(OURS)  ## - the face parser, trained on CelebAMask-HQ pairs: make parser PAIRS=folder
masks: $(MASKS)/.ready  ## - soft part masks of all photos in CELEBA
# ---- from code to numbers: a stamp is rewritten only where numbers may have changed
looked: | $(READY)
	@$(M).stages $(CODE) $(PROFILE)
$(patsubst %,$(CODE)/%,data judges d_att train evaluate learning masks tables claims gallery report): looked ; @:
$(INPUTS)/photos: FORCE | $(READY) ; @$(M).stages $(INPUTS) --input photos="$(CELEBA)"
$(INPUTS)/parser: $(INPUTS)/photos FORCE | $(if $(wildcard $(OURS) $(MASKS)/store.json),,$(filter $(OURS),$(PARSER)))
	@$(M).stages $(INPUTS) --input $(if $(filter $(OURS),$(PARSER)),ours,parser)="$(PARSER)"
$(OURS): | $(READY) $(if $(filter parser,$(GOALS)),,$(INPUTS)/photos) ; $(M).parser train --pairs "$(PAIRS)" --out $@
$(MASKS)/.ready: $(CODE)/masks $(INPUTS)/photos $(INPUTS)/parser
	$(M).masks build --parser "$(PARSER)" --photos "$(CELEBA)" --out $(MASKS) && touch $@
$(HERE)/faces/.ready: $(CODE)/data $(if $(PHOTOS),$(MASKS)/.ready $(INPUTS)/photos)
	$(M).data $(PROFILE) && mkdir -p $(@D) && touch $@
# Weights follow from a mark that they were looked at: only those trained anew are newer than what follows from them.
unless_there = $(if $(wildcard $@),+@:,$(1))
CLASSIFIER := $(HERE)/judges/classifier.safetensors
$(HERE)/judges/.ready: $(CODE)/judges $(HERE)/faces/.ready
	$(ONE).judges $(PROFILE) && touch $@
$(CLASSIFIER): $(HERE)/judges/.ready ; $(call unless_there,$(ONE).judges $(PROFILE))
$(patsubst %,$(HERE)/.d_att-seed%,$(sort 0 1 2 $(SEEDS))): $(HERE)/.d_att-seed%: $(CODE)/d_att $(HERE)/faces/.ready ; $(ONE).d_att $(PROFILE) --seed $* && touch $@
ONES := $(sort $(call of,$(KNOWN),0 1 2 $(SEEDS)))# static rules for all runs, so that a deleted product is made again
$(foreach seed,$(sort 0 1 2 $(SEEDS)),$(eval $(patsubst %,$(HERE)/%/.trained,$(filter %-seed$(seed),$(ONES))): $(HERE)/.d_att-seed$(seed)))# one for all rows of a seed
TURN := $(if $(filter table3 rows,$(GOALS)),$(call of,$(ROWS),$(SEEDS)))# each begins when one before it is measured: the table grows
LATER := $(wordlist $(shell expr $(JOBS) + 1),999,$(TURN))
$(foreach pair,$(join $(LATER),$(patsubst %,:%,$(wordlist 1,$(words $(LATER)),$(TURN)))),$(eval $(HERE)/$(firstword $(subst :, ,$(pair)))/.trained: | $(OUT)/metrics/$(lastword $(subst :, ,$(pair))).json))
$(ONES:%=$(HERE)/%/.trained): $(HERE)/%/.trained: $(CODE)/train $(HERE)/faces/.ready
	$(ONE).notebook $(PROFILE) 07-train-a-row $* && touch $@
$(ONES:%=$(HERE)/%/weights.safetensors): $(HERE)/%/weights.safetensors: $(HERE)/%/.trained
	$(call unless_there,$(ONE).notebook $(PROFILE) 07-train-a-row $*)
$(ONES:%=$(OUT)/metrics/%.json): $(OUT)/metrics/%.json: $(CODE)/evaluate $(HERE)/%/weights.safetensors $(CLASSIFIER)
	$(ONE).notebook $(PROFILE) 08-evaluate-a-row $* && touch $@$(if $(filter table3 rows,$(GOALS)), && $(M).tables table3 $(PROFILE) --brief)
$(LIMITS:%=$(OUT)/metrics/%-seed0.json): $(OUT)/metrics/%-seed0.json: $(CODE)/evaluate $(CLASSIFIER)
	$(ONE).evaluate $* $(PROFILE) && touch $@
$(ONES:%=$(HERE)/%/.learnt): $(HERE)/%/.learnt: $(CODE)/learning $(HERE)/%/weights.safetensors $(CLASSIFIER)
	$(ONE).learning $(subst -seed, $(PROFILE) --seed ,$*) >/dev/null && touch $@
# ---- from numbers to tables and figures: but for Tables 1 and 3 these look at what was measured, and train nothing
MEASURED := $(RUNS)/.code/measured
$(MEASURED): FORCE | $(if $(filter table3,$(GOALS)),$(TABLED),$(if $(filter rows,$(GOALS)),$(METRICS))) $(if $(filter learning,$(GOALS)),$(call curves,$(SEEDS)))
	@mkdir -p $(@D) && ls $(patsubst %,$(RESULTS)/*/%,metrics/*.json learning/*.json study/votes/people/*.csv) 2>/dev/null | LC_ALL=C sort | xargs cat /dev/null | cksum > $@.now && { cmp -s $@.now $@ && rm $@.now || mv $@.now $@; }
$(OUT)/tables/table3.md: $(CODE)/tables $(TABLED) $(wildcard results/reference/$(PROFILE)/metrics/*)
	$(M).notebook $(PROFILE) 09-table3
$(OUT)/tables/table1.md: $(CODE)/tables $(MEASURED) $(call metrics,stgan maggan,0)
	$(if $(HALF),+@$(MAKE) rows PROFILE=$(HALF) ROWS="attgan stgan" SEEDS=0)
	$(M).tables table1 $(PROFILE) >/dev/null
$(OUT)/tables/table2.md: $(CODE)/tables $(MEASURED) ; $(M).tables table2 $(PROFILE) >/dev/null
$(OUT)/tables/claims.md: $(CODE)/claims $(MEASURED) | $(if $(filter table1,$(GOALS)),$(OUT)/tables/table1.md)
	$(M).notebook $(PROFILE) 11-claims
$(ALL_FIGURES:%=$(OUT)/figures/%.png): $(OUT)/figures/%.png: $(CODE)/gallery $(MEASURED)
	$(ONE).gallery $* $(PROFILE) >/dev/null
$(OUT)/report.html: $(CODE)/report $(MEASURED) $(wildcard $(OUT)/figures/*.png $(OUT)/tables/*.md $(OUT)/notebooks/*.ipynb)
	$(M).report $(PROFILE) >/dev/null
BOOKS := $(filter-out 07-% 08-% 09-% 11-% 15-% 16-%,$(notdir $(wildcard notebooks/[01]*.ipynb)))
all-notebooks: $(OUT)/tables/table3.md $(OUT)/tables/claims.md $(BOOKS:%=$(OUT)/notebooks/%)  ## 10 every notebook but the two pages, 15 and 16
$(BOOKS:%=$(OUT)/notebooks/%): $(OUT)/notebooks/%.ipynb: notebooks/%.ipynb $(CLASSIFIER) | $(METRICS)
	$(ONE).notebook $(PROFILE) $*
# ---- pages, and the project itself
lab:  ## 0 JupyterLab on the notebooks: make lab [MODEL=folder PARSER=file]
demo:  ## 0 the edit studio as a page in the browser: make demo [MODEL=folder PARSER=file]
rate:  ## 0 the page on which people rate edits, of this machine alone
lab demo rate: | $(READY)
	@$(M).page $@ --profile=$(PROFILE) --model="$(MODEL)" --parser="$(if $(MODEL)$(filter command%,$(origin PARSER)),$(PARSER))" --port=$(PORT)
study: | $(READY) ; $(ONE).study $(PROFILE) --seed $(firstword $(SEEDS))  ## 1 500 pairs of edits for people to rate (seed 0 unless SEEDS=n), as for Table 2
env: $(READY)  ## 3 the locked environment in .venv
.venv/.ready: requirements.lock pyproject.toml $(if $(wildcard .venv/bin/python),,FORCE) | $(filter .uv/%,$(UV))
	@echo "environment: installing what requirements.lock says into .venv"
	@.venv/bin/python -c '' 2>/dev/null || { rm -rf .venv; $(UV) venv --quiet --no-python-downloads .venv; }
	@$(UV) pip sync -q --python .venv/bin/python --require-hashes requirements.lock && $(UV) pip install -q --python .venv/bin/python --no-deps --no-build-isolation --editable . && touch $@
.uv/bin/uv: ; @python3 -m venv .uv && .uv/bin/python -m pip install --quiet uv
lock: $(filter .uv/%,$(UV))  ## 1 choose versions anew and write requirements.lock
	$(UV) pip compile pyproject.toml -q --extra photos --extra dev --universal --python-version 3.11 --generate-hashes --upgrade --no-emit-index-url --no-annotate --custom-compile-command "make lock" -o requirements.lock
TESTING = MAGGAN_RUNS=$(RUNS)/test/runs MAGGAN_RESULTS=$(RUNS)/test/results OMP_NUM_THREADS=1 $(PYTHON) -m
test: | $(READY)  ## 12 ruff, the layers, the tests, and every notebook at smoke size
	$(PYTHON) -m ruff check . && $(dir $(PYTHON))lint-imports --no-logo && rm -rf $(RUNS)/test
	$(TESTING) maggan.data smoke && $(TESTING) maggan.judges smoke && $(TESTING) pytest -q -n $(CORES) --nbval-lax --nbval-current-env --nbval-cell-timeout=300 --nbval-sanitize-with tests/nbval.cfg
bench: | $(READY) ; $(PYTHON) benchmarks/speed.py  ## 20 speeds that the project relies on, as ratios
bench-gpu: | $(READY) ; $(PYTHON) benchmarks/on_a_gpu.py  ## - what only a GPU can show: speeds, memory, rows at 256 to 1024 px
reference: $(OUT)/tables/table3.md ; $(M).reference $(PROFILE) $(if $(filter command%,$(origin ROWS)),$(ROWS))  ## 0 make this run of the profile the reference that later tables are compared with
clean:  ## 0 delete what was made for PROFILE (photos, their masks and a study that people have rated stay)
	rm -rf $(HERE) $(if $(wildcard $(OUT)/study/votes/people/*.csv),$(filter-out $(OUT)/study,$(wildcard $(OUT)/*)),$(OUT))

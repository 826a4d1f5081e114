# Needs Python 3.11 to 3.13 with its module venv, and make; the rest is installed
# into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What `make demo` trains. The folder demo/ keeps everything that is done; remove it to
# start afresh.
DEMO_STEPS ?= 6500
DEMO_PROBLEMS := miniworld_caption miniworld_class miniworld_deen miniworld_defr \
	miniworld_ende miniworld_enfr miniworld_parsing miniworld_speech
DEMO_MIXING := miniworld_caption:4,miniworld_class:3,miniworld_deen:1,miniworld_defr:1,$(\
	)miniworld_ende:1,miniworld_enfr:1,miniworld_parsing:1,miniworld_speech:4
DEMO_TRAIN_FLAGS ?= --model=multimodel --hparams_set=multimodel_tiny \
	--mixing=$(DEMO_MIXING) --eval_every_steps=1000 --eval_steps=0 \
	--save_every_steps=500 --keep_checkpoints=2
DEMO_LINES := 3

comma := ,
space := $(subst ,, )
demo_problem_list := $(subst $(space),$(comma),$(strip $(DEMO_PROBLEMS)))
demo_run_flags := --output_dir=demo/run --data_dir=demo/data
demo_table := demo/table-$(DEMO_STEPS).txt
demo_decoded := $(DEMO_PROBLEMS:%=demo/decoded-$(DEMO_STEPS)/%.tsv)
demo_page := demo/report/index.html

.PHONY: help demo test lint
.DELETE_ON_ERROR:
.SECONDARY:

help:
	@echo "make demo   eight tasks in four modalities: data, training, samples, report"
	@echo "            (DEMO_STEPS=$(DEMO_STEPS); again to resume; results in demo/)"
	@echo "make test   run the tests that are not slow"
	@echo "make lint   check format, style and types"
	@echo
	@echo "PYTHON=python3.12 chooses the Python of $(VENV)."

# Environment.

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "PYTHON must be Python 3.11 to 3.13: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/made setup.py
	$(BIN)/pip install -q -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/made setup.py
	$(BIN)/pip install -q -e '.[dev]'
	@touch $@ $(VENV)/installed

# Checks.

test: $(VENV)/installed-dev
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy t2t_mm problems hparams bin

# Demo.

demo: $(demo_decoded) $(demo_page)
	@echo
	@echo "Reference and output of the first dev examples:"
	@for name in $(DEMO_PROBLEMS); do \
		echo; echo "$$name"; \
		head -n $(DEMO_LINES) demo/decoded-$(DEMO_STEPS)/$$name.tsv; \
	done
	@echo
	@cat $(demo_table)
	@echo
	@echo "Look at $(demo_page)"
	@echo "More: $(BIN)/tensorboard --logdir=demo/run/summaries"

demo/data/made: | $(VENV)/installed
	$(BIN)/t2t-datagen --problem=$(demo_problem_list) --data_dir=demo/data \
		--num_workers=2
	@touch $@

# Resumes by itself; a run that was stopped leaves no table.
$(demo_table): demo/data/made
	$(BIN)/t2t-trainer $(DEMO_TRAIN_FLAGS) --problems=$(demo_problem_list) \
		$(demo_run_flags) --train_steps=$(DEMO_STEPS) > $@.partial
	@test -s $@.partial || { echo "Stopped; make demo goes on from there."; exit 1; }
	@mv $@.partial $@

demo/decoded-$(DEMO_STEPS)/%.tsv: $(demo_table)
	@mkdir -p $(@D)
	$(BIN)/t2t-decoder --problem=$* $(demo_run_flags) --split=dev --max_batches=1 \
		--decode_to_file=$@

$(demo_page): $(demo_table)
	$(BIN)/t2t-report $(demo_run_flags) --report_dir=$(@D)

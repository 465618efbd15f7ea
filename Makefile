# A thin front for meson: see `make help`.
BUILD ?= build

.PHONY: build clean
build:
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --buildtype=release -Db_lto=true </dev/null
	@ninja -C $(BUILD) </dev/null

clean:
	rm -rf build build-*

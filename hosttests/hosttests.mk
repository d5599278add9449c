# GoogleTest on the host: the same sources as the target's, compiled for the
# host, with the seams (fail, PhysMemory::extend) of seams.cpp and the hardware of fakes/.

# The folders are named for those that they test; what several use lies beside them.
HOST_FOLDERS := hosttests $(addprefix hosttests/,boot cpus efi include linux32 paging payload report sev stage64)

HOST_CXX ?= clang++
HOST_CC ?= clang
HOST_SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_INCLUDES := -Ihosttests/fakes $(INCLUDES) $(HOST_FOLDERS:%=-I%) -Iarch/x86/efi -Iarch/x86
HOST_WARNINGS := -Wall -Wextra -Wno-missing-field-initializers -Werror
HOST_FLAGS = -std=c++20 -O1 -g $(HOST_WARNINGS) -fno-strict-aliasing $(HOST_SANITIZERS) \
	$(HOST_INCLUDES)
HOST_C_FLAGS = -std=c11 -g $(HOST_WARNINGS) -Wpedantic $(HOST_INCLUDES)

# All of the EFI stub but what is the machine's.
EFI_LOGIC := $(filter-out %/last_words.cpp %/cpu_state.cpp,$(wildcard arch/x86/efi/*.cpp))

HOST_TESTED := $(wildcard boot/*.cpp boot/payload/*.cpp arch/x86/paging/*.cpp \
	arch/x86/report/*.cpp) \
	arch/x86/stage64/kernel_map.cpp arch/x86/stage64/wished_maps.cpp \
	$(wildcard arch/x86/sev/*.cpp) arch/x86/cpus/vmsa.cpp $(EFI_LOGIC) \
	arch/x86/linux32/check_place.cpp
SEV_HOST_SOURCES := $(wildcard hosttests/sevhost/*.cpp hosttests/sevhost/*.S \
	$(SEVHOST_DIR)/model/*.cpp)
# Of prologue-check what reads PE images, which needs no libelf.
CHECKED := $(addprefix linker/check/,pe_file.cpp check_pe.cpp findings.cpp)
CHECK_TEST_SOURCES := hosttests/check/pe_file_test.cpp $(CHECKED)
HOST_SOURCES := $(wildcard $(foreach end,cpp c S,$(HOST_FOLDERS:%=%/*.$(end)))) $(HOST_TESTED) \
	$(SEV_HOST_SOURCES) $(CHECK_TEST_SOURCES)
HOST_OBJECTS := $(addprefix $(BUILD)/host/,$(addsuffix .o,$(basename $(HOST_SOURCES))))

# The SEV host's model has headers of its own, of the same names.
SEV_HOST_INCLUDES := -I$(SEVHOST_DIR)/model -Ihosttests -Ihosttests/paging
$(addprefix $(BUILD)/host/,$(addsuffix .o,$(basename $(SEV_HOST_SOURCES)))): \
	HOST_INCLUDES = $(SEV_HOST_INCLUDES)

CHECK_INCLUDES := -Ihosttests/check -Ilinker/check $(addprefix -iquote ,boot boot/include \
	arch/x86/cpu arch/x86/efi arch/x86/entry)
$(CHECK_TEST_SOURCES:%.cpp=$(BUILD)/host/%.o): HOST_INCLUDES = $(CHECK_INCLUDES)

# The public headers are any kernel's, whatever its warnings.
$(BUILD)/host/hosttests/include/handoff_test.o: HOST_FLAGS += -Wpedantic

$(BUILD)/host/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  $@"
	$(HOST_CXX) $(HOST_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/host/%.o: %.c
	@mkdir -p $(@D)
	@echo "  $@"
	$(HOST_CC) $(HOST_C_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/host/%.o: %.S
	@mkdir -p $(@D)
	@echo "  $@"
	$(HOST_CC) $(HOST_INCLUDES) -MMD -MP -c -o $@ $<

$(BUILD)/hosttests: $(HOST_OBJECTS)
	@echo "  $@"
	$(HOST_CXX) $(HOST_FLAGS) -o $@ $^ -lgtest -lgtest_main -lpthread

-include $(HOST_OBJECTS:.o=.d)

# The tests of SEV's logic alone, built in a moment, for very many changes of it
# (qemu/mutants.py): without sanitizers, which what these do not notice then has.
QUICK_FLAGS = -std=c++20 -O1 $(HOST_WARNINGS) -fno-strict-aliasing $(HOST_INCLUDES)
QUICK_OBJECTS := $(patsubst %.cpp,$(BUILD)/quick/%.o,$(wildcard boot/*.cpp arch/x86/sev/*.cpp \
	arch/x86/report/*.cpp hosttests/sev/*.cpp) hosttests/seams.cpp hosttests/scripted_host.cpp \
	$(addprefix hosttests/boot/,range_model.cpp confidential_images.cpp confidential_test.cpp \
	linux_images.cpp loader_images.cpp))

$(BUILD)/quick/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  $@"
	$(HOST_CXX) $(QUICK_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/hosttests-sev: $(QUICK_OBJECTS)
	@echo "  $@"
	$(HOST_CXX) $(QUICK_FLAGS) -fuse-ld=lld -o $@ $^ -lgtest -lgtest_main -lpthread

-include $(QUICK_OBJECTS:.o=.d)

# libFuzzer: a target for each loader's structures, one for the memory map, and those of the
# SEV host's model; with seeds that the target itself writes.
#   make fuzz        each for FUZZ_SECONDS; what is found stays in $(BUILD)/fuzz
#   make fuzz RUNS=  so many inputs in all, and how many each had; without sanitizers
#   make fuzz-short  each for FUZZ_RUNS inputs, the same ones every time
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?= 30000
FUZZ_LOADER_NAMES := pvh multiboot1 multiboot2 linux vmd freebsd igvm memory_map confidential \
	madt mover payload unpack
FUZZ_SEV_NAMES := sev_instruction sev_ghcb sev_igvm
FUZZ_GUEST_NAMES := guest_vc
FUZZ_EFI_NAMES := efi
FUZZ_CHECK_NAMES := pe
FUZZ_NAMES := $(FUZZ_LOADER_NAMES) $(FUZZ_SEV_NAMES) $(FUZZ_GUEST_NAMES) $(FUZZ_EFI_NAMES) \
	$(FUZZ_CHECK_NAMES)
FUZZ_FLAGS := -max_len=12288 -timeout=20 -print_funcs=0
FUZZ_SHARED := hosttests/seams.cpp arch/x86/report/vector_names.cpp hosttests/boot/range_model.cpp \
	hosttests/boot/loader_images.cpp hosttests/boot/bsd_images.cpp hosttests/boot/linux_images.cpp \
	hosttests/boot/confidential_images.cpp \
	hosttests/refusing.cpp hosttests/fuzz/loader_fuzz.cpp $(wildcard boot/*.cpp boot/payload/*.cpp)
FUZZ_OBJECTS := $(FUZZ_SHARED:%.cpp=$(BUILD)/fuzz/%.o)
FUZZ_SEV_OBJECTS := $(patsubst %.cpp,$(BUILD)/fuzz/%.o,$(wildcard $(SEVHOST_DIR)/model/*.cpp))
$(FUZZ_SEV_OBJECTS) $(FUZZ_SEV_NAMES:%=$(BUILD)/fuzz/hosttests/fuzz/fuzz_%.o): \
	HOST_INCLUDES = $(SEV_HOST_INCLUDES)
FUZZ_GUEST_OBJECTS := $(patsubst %.cpp,$(BUILD)/fuzz/%.o,hosttests/scripted_host.cpp \
	$(filter-out %/accept_memory.cpp,$(wildcard arch/x86/sev/*.cpp)))
FUZZ_EFI_OBJECTS := $(FUZZ_OBJECTS) $(patsubst %.cpp,$(BUILD)/fuzz/%.o,$(EFI_LOGIC) \
	hosttests/efi/fake_firmware.cpp)
FUZZ_CHECK_OBJECTS := $(CHECKED:%.cpp=$(BUILD)/fuzz/%.o)
$(FUZZ_CHECK_OBJECTS) $(FUZZ_CHECK_NAMES:%=$(BUILD)/fuzz/hosttests/fuzz/fuzz_%.o): \
	HOST_INCLUDES = $(CHECK_INCLUDES)
FUZZ_TARGETS := $(FUZZ_NAMES:%=$(BUILD)/fuzz/%)

$(BUILD)/fuzz/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  $@"
	$(HOST_CXX) $(HOST_FLAGS) -Ihosttests/fuzz -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(FUZZ_LOADER_NAMES:%=$(BUILD)/fuzz/%): $(FUZZ_OBJECTS)
$(FUZZ_SEV_NAMES:%=$(BUILD)/fuzz/%): $(FUZZ_SEV_OBJECTS)
$(FUZZ_GUEST_NAMES:%=$(BUILD)/fuzz/%): $(FUZZ_GUEST_OBJECTS)
$(FUZZ_EFI_NAMES:%=$(BUILD)/fuzz/%): $(FUZZ_EFI_OBJECTS)
$(FUZZ_CHECK_NAMES:%=$(BUILD)/fuzz/%): $(FUZZ_CHECK_OBJECTS)
$(FUZZ_TARGETS): $(BUILD)/fuzz/%: $(BUILD)/fuzz/hosttests/fuzz/fuzz_%.o
	@echo "  $@"
	$(HOST_CXX) $(HOST_FLAGS) -fsanitize=fuzzer -o $@ $^
	@rm -rf $@.seeds
	$@ --write-seeds $@.seeds

# The same without ASan and UBSan, for very many inputs. What they keep goes through those that
# have them. Coverage is that of the code under test, and not of the models that judge it.
FUZZ_FAST_FLAGS = -std=c++20 -O2 -g $(HOST_WARNINGS) -fno-strict-aliasing $(HOST_INCLUDES)
FUZZ_COVERAGE := -fsanitize=fuzzer-no-link
FUZZ_FAST_TARGETS := $(FUZZ_NAMES:%=$(BUILD)/fuzz-fast/%)
fast = $(patsubst $(BUILD)/fuzz/%,$(BUILD)/fuzz-fast/%,$(1))
$(call fast,$(FUZZ_SEV_OBJECTS)) $(FUZZ_SEV_NAMES:%=$(BUILD)/fuzz-fast/hosttests/fuzz/fuzz_%.o): \
	HOST_INCLUDES = $(SEV_HOST_INCLUDES)
$(call fast,$(FUZZ_CHECK_OBJECTS)) \
	$(FUZZ_CHECK_NAMES:%=$(BUILD)/fuzz-fast/hosttests/fuzz/fuzz_%.o): \
	HOST_INCLUDES = $(CHECK_INCLUDES)

$(BUILD)/fuzz-fast/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  $@"
	$(HOST_CXX) $(FUZZ_FAST_FLAGS) -Ihosttests/fuzz $(if $(filter hosttests/%,$<),,$(FUZZ_COVERAGE)) \
		-MMD -MP -c -o $@ $<

$(FUZZ_LOADER_NAMES:%=$(BUILD)/fuzz-fast/%): $(call fast,$(FUZZ_OBJECTS))
$(FUZZ_SEV_NAMES:%=$(BUILD)/fuzz-fast/%): $(call fast,$(FUZZ_SEV_OBJECTS))
$(FUZZ_GUEST_NAMES:%=$(BUILD)/fuzz-fast/%): $(call fast,$(FUZZ_GUEST_OBJECTS))
$(FUZZ_EFI_NAMES:%=$(BUILD)/fuzz-fast/%): $(call fast,$(FUZZ_EFI_OBJECTS))
$(FUZZ_CHECK_NAMES:%=$(BUILD)/fuzz-fast/%): $(call fast,$(FUZZ_CHECK_OBJECTS))
$(FUZZ_FAST_TARGETS): $(BUILD)/fuzz-fast/%: $(BUILD)/fuzz-fast/hosttests/fuzz/fuzz_%.o
	@echo "  $@"
	$(HOST_CXX) $(FUZZ_FAST_FLAGS) -fsanitize=fuzzer -o $@ $^

-include $(call fast,$(FUZZ_OBJECTS:.o=.d) $(FUZZ_SEV_OBJECTS:.o=.d) $(FUZZ_GUEST_OBJECTS:.o=.d) \
	$(FUZZ_EFI_OBJECTS:.o=.d) $(FUZZ_CHECK_OBJECTS:.o=.d)) \
	$(FUZZ_NAMES:%=$(BUILD)/fuzz-fast/hosttests/fuzz/fuzz_%.d)

.PHONY: fuzz fuzz-names fuzz-short $(FUZZ_NAMES:%=fuzz-%) $(FUZZ_NAMES:%=fuzz-short-%)
ifdef RUNS
fuzz: $(FUZZ_FAST_TARGETS) $(FUZZ_TARGETS)
	@$(PYTHON) hosttests/fuzz/count_runs.py $(RUNS) $(FUZZ_NAMES)
else
fuzz: $(FUZZ_NAMES:%=fuzz-%)
endif
fuzz-names:
	@printf '%s\n' $(FUZZ_NAMES)
fuzz-short: $(FUZZ_NAMES:%=fuzz-short-%)

$(FUZZ_NAMES:%=fuzz-%): fuzz-%: $(BUILD)/fuzz/%
	@mkdir -p $<.corpus
	$< $(FUZZ_FLAGS) -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$<. $<.corpus $<.seeds

# Begins with the seeds each time, and not with what an earlier run has found.
$(FUZZ_NAMES:%=fuzz-short-%): fuzz-short-%: $(BUILD)/fuzz/%
	@rm -rf $<.short && mkdir $<.short
	@$< $(FUZZ_FLAGS) -runs=$(FUZZ_RUNS) -seed=1 -artifact_prefix=$<. $<.short $<.seeds \
		>$<.log 2>&1 || { cat $<.log; exit 1; }
	@echo "fuzz $*: $(FUZZ_RUNS) inputs, no fault"

-include $(FUZZ_OBJECTS:.o=.d) $(FUZZ_SEV_OBJECTS:.o=.d) $(FUZZ_GUEST_OBJECTS:.o=.d) \
	$(FUZZ_EFI_OBJECTS:.o=.d) $(FUZZ_CHECK_OBJECTS:.o=.d) \
	$(FUZZ_NAMES:%=$(BUILD)/fuzz/hosttests/fuzz/fuzz_%.d)

.PHONY: host-binaries
host-binaries: $(BUILD)/hosttests $(FUZZ_TARGETS)

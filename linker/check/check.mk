# prologue-check: reads a linked kernel, and says which loaders will take it.

CHECK_TOOL := $(BUILD)/prologue-check

# The same with ASan and UBSan, for its tests.
CHECK_SANITIZED := $(BUILD)/prologue-check-sanitized

CHECK_SOURCES := $(wildcard linker/check/*.cpp)
CHECK_OBJECTS := $(CHECK_SOURCES:%.cpp=$(BUILD)/check/%.o)
CHECK_SANITIZED_OBJECTS := $(CHECK_SOURCES:%.cpp=$(BUILD)/check-sanitized/%.o)
CHECK_FLAGS = -std=c++20 -O2 -g -Wall -Wextra -Wno-missing-field-initializers -Werror $(addprefix -iquote ,boot boot/include \
	arch/x86/cpu arch/x86/efi arch/x86/entry arch/x86/paging arch/x86/stage64) $(shell pkg-config --cflags libelf)

define CHECK_COMPILE
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANGXX) $(CHECK_FLAGS) -MMD -MP -c -o $@ $<
endef
$(BUILD)/check/%.o: %.cpp
	$(CHECK_COMPILE)
$(BUILD)/check-sanitized/%.o: %.cpp
	$(CHECK_COMPILE)

$(CHECK_TOOL): $(CHECK_OBJECTS)
$(CHECK_SANITIZED): $(CHECK_SANITIZED_OBJECTS)
$(CHECK_SANITIZED) $(CHECK_SANITIZED_OBJECTS): \
	CHECK_FLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all
$(CHECK_TOOL) $(CHECK_SANITIZED):
	@echo "  $@"
	$(CLANGXX) $(CHECK_FLAGS) -o $@ $^ $(shell pkg-config --libs libelf)

.PHONY: check-tool check-tool-sanitized
check-tool: $(CHECK_TOOL)
check-tool-sanitized: $(CHECK_SANITIZED)

-include $(CHECK_OBJECTS:.o=.d) $(CHECK_SANITIZED_OBJECTS:.o=.d)

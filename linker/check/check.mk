# prologue-check: reads a linked kernel, and says which loaders will take it.

CHECK_TOOL := $(BUILD)/prologue-check

CHECK_SOURCES := $(wildcard linker/check/*.cpp)
CHECK_OBJECTS := $(CHECK_SOURCES:%.cpp=$(BUILD)/check/%.o)
CHECK_FLAGS = -std=c++20 -O2 -g -Wall -Wextra -Werror $(addprefix -I,boot boot/include \
	arch/x86/cpu arch/x86/paging arch/x86/stage64) $(shell pkg-config --cflags libelf)

$(BUILD)/check/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANGXX) $(CHECK_FLAGS) -MMD -MP -c -o $@ $<

$(CHECK_TOOL): $(CHECK_OBJECTS)
	@echo "  $@"
	$(CLANGXX) -o $@ $^ $(shell pkg-config --libs libelf)

.PHONY: check-tool
check-tool: $(CHECK_TOOL)

-include $(CHECK_OBJECTS:.o=.d)

# GoogleTest on the host: the same sources as the target's, compiled for the
# host, with the seams (fail, PhysMemory::extend) of seams.cpp and the hardware of fakes/.

HOST_CXX ?= clang++
HOST_CC ?= clang
HOST_SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_INCLUDES := -Ihosttests/fakes $(INCLUDES) -Ihosttests
HOST_FLAGS := -std=c++20 -O1 -g -Wall -Wextra -Werror -fno-strict-aliasing $(HOST_SANITIZERS) \
	$(HOST_INCLUDES)
HOST_C_FLAGS := -std=c11 -g -Wall -Wextra -Wpedantic -Werror $(HOST_INCLUDES)

HOST_TESTED := $(wildcard boot/*.cpp arch/x86/paging/*.cpp arch/x86/report/*.cpp) \
	arch/x86/stage64/kernel_map.cpp
HOST_SOURCES := $(wildcard hosttests/*.cpp hosttests/*.c hosttests/*.S) $(HOST_TESTED)
HOST_OBJECTS := $(addprefix $(BUILD)/host/,$(addsuffix .o,$(basename $(HOST_SOURCES))))

# The public headers are any kernel's, whatever its warnings.
$(BUILD)/host/hosttests/handoff_test.o: HOST_FLAGS += -Wpedantic

$(BUILD)/host/%.o: %.cpp
	@mkdir -p $(@D)
	$(HOST_CXX) $(HOST_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/host/%.o: %.c
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_C_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/host/%.o: %.S
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_INCLUDES) -MMD -MP -c -o $@ $<

$(BUILD)/hosttests: $(HOST_OBJECTS)
	$(HOST_CXX) $(HOST_FLAGS) -o $@ $^ -lgtest -lgtest_main -lpthread

-include $(HOST_OBJECTS:.o=.d)

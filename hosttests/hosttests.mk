# GoogleTest on the host: the same sources as the target's, compiled for the
# host, with the seams (fail, PhysMemory::extend) of hosttests/seams.cpp.

HOST_CXX ?= clang++
HOST_FLAGS := -std=c++20 -O1 -g -Wall -Wextra -Werror -fno-strict-aliasing \
	-fsanitize=address,undefined -fno-sanitize-recover=all $(INCLUDES) -Ihosttests
HOST_SOURCES := $(filter-out hosttests/fuzz/%,$(wildcard hosttests/*.cpp)) \
	$(wildcard boot/*.cpp arch/x86/paging/*.cpp) \
	arch/x86/stage64/kernel_map.cpp
HOST_OBJECTS := $(HOST_SOURCES:%.cpp=$(BUILD)/host/%.o)

$(BUILD)/host/%.o: %.cpp
	@mkdir -p $(@D)
	$(HOST_CXX) $(HOST_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/hosttests: $(HOST_OBJECTS)
	$(HOST_CXX) $(HOST_FLAGS) -o $@ $^ -lgtest -lgtest_main -lpthread

-include $(HOST_OBJECTS:.o=.d)

# Builds for Linux on aarch64 elsewhere, by Debian's cross compiler (g++-aarch64-linux-gnu) or the
# one that CMAKE_CXX_COMPILER names. What is built runs under qemu-user where that is installed; its
# processor is chosen by QEMU_CPU: cortex-a72, neoverse-n1, max.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

if(NOT CMAKE_CXX_COMPILER)
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()

find_program(TWOPASS_QEMU NAMES qemu-aarch64 qemu-aarch64-static)
if(TWOPASS_QEMU)
  # Where Debian keeps the cross compiler's C library, which programs load when they start.
  set(CMAKE_CROSSCOMPILING_EMULATOR ${TWOPASS_QEMU} -L /usr/aarch64-linux-gnu)
endif()

# Programs are of this machine; headers and libraries are not.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)

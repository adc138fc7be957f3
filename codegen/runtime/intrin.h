// The intrinsics that inline functions of the kernel's headers use on arm64. Replaces the compiler's intrin.h. The values are
// those of the architecture's barrier types.

#ifndef WSK_RUNTIME_INTRIN_H
#define WSK_RUNTIME_INTRIN_H

#include <vcruntime.h>

#define _ARM64_BARRIER_SY 0xF
#define _ARM64_BARRIER_ST 0xE
#define _ARM64_BARRIER_LD 0xD
#define _ARM64_BARRIER_ISH 0xB
#define _ARM64_BARRIER_ISHST 0xA
#define _ARM64_BARRIER_ISHLD 0x9
#define _ARM_BARRIER_SY 0xF
#define _ARM_BARRIER_ISH 0xB

#endif // WSK_RUNTIME_INTRIN_H

// What Microsoft's C runtime expects of its compiler, as far as clang needs it to read a kit. Replaces the compiler's own
// vcruntime.h, which neither the driver kit nor the SDK contains.

#ifndef WSK_RUNTIME_VCRUNTIME_H
#define WSK_RUNTIME_VCRUNTIME_H

#include <sal.h>

#define _VCRT_COMPILER_PREPROCESSOR 1
#define _VCRUNTIME_DISABLED_WARNINGS
#define _CRT_BEGIN_C_HEADER extern "C" {
#define _CRT_END_C_HEADER }
#define _CRT_STRINGIZE_(x) #x
#define _CRT_STRINGIZE(x) _CRT_STRINGIZE_(x)
#define _CRT_WIDE_(s) L##s
#define _CRT_WIDE(s) _CRT_WIDE_(s)
#define _CRT_CONCATENATE_(a, b) a##b
#define _CRT_CONCATENATE(a, b) _CRT_CONCATENATE_(a, b)
#define _CRT_UNPARENTHESIZE_(...) __VA_ARGS__
#define _CRT_UNPARENTHESIZE(...) _CRT_UNPARENTHESIZE_ __VA_ARGS__
#define _VCRTIMP
#define _MRTIMP
#define __CRTDECL __cdecl
#define _CRT_DEPRECATE_TEXT(text)
#define _CRT_INSECURE_DEPRECATE(replacement)
#define _CRT_INSECURE_DEPRECATE_MEMORY(replacement)
#define _CRT_HAS_CXX17 1
#define _HAS_NODISCARD 0
#define _NODISCARD
#define _UNALIGNED __unaligned
#define __CRT_UNREACHABLE
#define _CRT_ALIGN(x) __declspec(align(x))

typedef unsigned long long size_t;
typedef long long ptrdiff_t;
typedef long long intptr_t;
typedef unsigned long long uintptr_t;
typedef bool __vcrt_bool;
typedef char *va_list;

#endif // WSK_RUNTIME_VCRUNTIME_H

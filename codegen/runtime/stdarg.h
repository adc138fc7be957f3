// Arguments of variadic functions. Replaces the compiler's stdarg.h.

#include <vcruntime.h>

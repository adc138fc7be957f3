// Arguments of variadic functions. Replaces the compiler's vadefs.h.

#include <vcruntime.h>

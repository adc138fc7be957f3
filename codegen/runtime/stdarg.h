// Arguments of functions with any number of them. Stands for the compiler's stdarg.h.

#include <vcruntime.h>

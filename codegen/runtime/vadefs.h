// Arguments of functions with any number of them. Stands for the compiler's vadefs.h.

#include <vcruntime.h>

// Functions for memory and strings. Replaces the runtime's string.h, as far as inline functions of the kernel's headers use it.

#include <vcruntime_string.h>

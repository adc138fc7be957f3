// Types of the C runtime. Replaces its ctype.h: the kernel's headers use nothing else of it.

#include <vcruntime.h>

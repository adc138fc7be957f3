// Types of the C runtime. Stands for its crtdefs.h, of which headers of the kernel use no more.

#include <vcruntime.h>

// Memory and text. Stands for the runtime's string.h, as far as headers of the kernel use it in inline functions.

#include <vcruntime_string.h>

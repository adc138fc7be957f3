// The kernel annotations (IRQL, dispatch types).
// Stands for the kit's kernelspecs.h; everything is in sal.h.

#ifndef WSK_HEADERS_KERNELSPECS_H
#define WSK_HEADERS_KERNELSPECS_H

#include <sal.h>

#endif // WSK_HEADERS_KERNELSPECS_H

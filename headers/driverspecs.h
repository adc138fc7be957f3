// The driver annotations (IRQL, locks, memory).
// Stands for the kit's driverspecs.h; everything is in sal.h.

#ifndef WSK_HEADERS_DRIVERSPECS_H
#define WSK_HEADERS_DRIVERSPECS_H

#include <sal.h>

#endif // WSK_HEADERS_DRIVERSPECS_H

// The older name of the header with the annotations.
// Stands for the kit's specstrings.h; everything is in sal.h.

#ifndef WSK_HEADERS_SPECSTRINGS_H
#define WSK_HEADERS_SPECSTRINGS_H

#include <sal.h>

#endif // WSK_HEADERS_SPECSTRINGS_H

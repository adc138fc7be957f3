// Everything of the kernel that drivers besides the Windows Driver Model see.
// Stands for the kit's ntddk.h; what Winsock Kernel clients need of it is all in wdm.h.

#ifndef _NTDDK_
#define _NTDDK_

#include <wdm.h>

#endif // _NTDDK_

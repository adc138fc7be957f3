// The results of an exception handler. Replaces the compiler's excpt.h.

#ifndef WSK_RUNTIME_EXCPT_H
#define WSK_RUNTIME_EXCPT_H

typedef enum _EXCEPTION_DISPOSITION {
    ExceptionContinueExecution,
    ExceptionContinueSearch,
    ExceptionNestedException,
    ExceptionCollidedUnwind
} EXCEPTION_DISPOSITION;

#endif // WSK_RUNTIME_EXCPT_H
